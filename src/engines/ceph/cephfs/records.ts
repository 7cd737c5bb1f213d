import { StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import { parseOmap } from "./omap-text.js";
import { recordText, type SnapshotRecord, type VolumeRecord } from "./record.js";
import type { RecordPool } from "./record-pool.js";

// Records lie in four objects by their key's first digit, so that none of them, nor its listing, grows too large.
const SHARDS = ["0", "4", "8", "c"] as const;
const shardOf = (hash: string): string => SHARDS.findLast((first) => first <= hash.slice(0, 1)) ?? "0";

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

  #object = (hash: string) => `${this.kind}.${shardOf(hash)}`;

  async get(ctx: Context, hash: string): Promise<T | undefined> {
    const object = this.#object(hash);
    const text = await this.pool.read(ctx, ["getomapval", object, hash]);
    const value = text === undefined ? undefined : parseOmap(text).get("");
    return value === undefined ? undefined : this.parse(value.toString("utf8"), `${object}/${hash}`);
  }

  async put(ctx: Context, hash: string, record: T): Promise<void> {
    await this.pool.write(ctx, ["setomapval", this.#object(hash), hash, recordText(record)]);
  }

  /** Gone already is fine. */
  async remove(ctx: Context, hash: string): Promise<void> {
    await this.pool.read(ctx, ["rmomapkey", this.#object(hash), hash]);
  }

  /** All of them after `afterHash`, itself too, in the order of their digests. */
  async list(ctx: Context, afterHash = ""): Promise<[string, T][]> {
    const shards = SHARDS.filter((first) => first >= shardOf(afterHash || "0"));
    const texts = await Promise.all(shards.map((first) => this.pool.read(ctx, ["listomapvals", this.#object(first)])));
    const found: [string, T][] = [];
    for (const [hash, value] of texts.flatMap((text) => [...parseOmap(text ?? "")])) {
      try {
        found.push([hash, this.parse(value.toString("utf8"), `${this.#object(hash)}/${hash}`)]);
      } catch (error) {
        // One damaged record must not hide the others.
        if (!(error instanceof StorageError)) throw error;
        ctx.log.error({ error: error.message }, "a record was left out of a list");
      }
    }
    return found.filter(([hash]) => hash >= afterHash).sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
