import { StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import { parseOmap } from "./omap-text.js";
import { recordText, type SnapshotRecord, type VolumeRecord } from "./record.js";
import type { RecordPool } from "./record-pool.js";

// Records lie in 16 objects by their key's first digit, so that none of them, nor its listing, grows too large.
const SHARDS = [..."0123456789abcdef"];

/**
 * Records of one kind by the digest of a name, in omap entries of a few objects: one call lists hundreds of them, and
 * each is replaced as a whole. Written under the name's lock alone (see `WriteLock`).
 */
export class Records<T extends VolumeRecord | SnapshotRecord> {
  constructor(
    private readonly pool: RecordPool,
    private readonly kind: "volumes" | "snapshots",
    private readonly parse: (text: string, where: string) => T,
  ) {}

  #object = (shard: string) => `${this.kind}.${shard}`;

  async get(ctx: Context, hash: string): Promise<T | undefined> {
    const object = this.#object(hash.slice(0, 1));
    const text = await this.pool.read(ctx, ["getomapval", object, hash]);
    const value = text === undefined ? undefined : parseOmap(text).get("");
    return value === undefined ? undefined : this.parse(value.toString("utf8"), `${object}/${hash}`);
  }

  async put(ctx: Context, hash: string, record: T): Promise<void> {
    await this.pool.write(ctx, ["setomapval", this.#object(hash.slice(0, 1)), hash, recordText(record)]);
  }

  /** Gone already is fine. */
  async remove(ctx: Context, hash: string): Promise<void> {
    await this.pool.read(ctx, ["rmomapkey", this.#object(hash.slice(0, 1)), hash]);
  }

  /** All of them in the order of their digests, after `afterHash`, at least `enough` if there are as many. */
  async list(ctx: Context, afterHash = "", enough = Number.POSITIVE_INFINITY): Promise<[string, T][]> {
    const found: [string, T][] = [];
    for (const shard of SHARDS.filter((digit) => digit >= afterHash.slice(0, 1))) {
      const object = this.#object(shard);
      const values = parseOmap((await this.pool.read(ctx, ["listomapvals", object])) ?? "");
      for (const [hash, value] of values) {
        try {
          found.push([hash, this.parse(value.toString("utf8"), `${object}/${hash}`)]);
        } catch (error) {
          // One damaged record must not hide the others.
          if (!(error instanceof StorageError)) throw error;
          ctx.log.error({ error: error.message }, "a record was left out of a list");
        }
      }
      if (found.length >= enough) break;
    }
    return found.sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
