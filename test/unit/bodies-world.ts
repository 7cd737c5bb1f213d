import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { BlockPool } from "../../src/engines/local/objects/bodies/block-pool.js";
import { type BodyStoreOptions, openBodyStore } from "../../src/engines/local/objects/bodies/body-store.js";
import { bodyPath } from "../../src/engines/local/objects/bodies/generation-folders.js";
import { ReadPace } from "../../src/engines/local/objects/bodies/read-pace.js";
import type { BodyStore, StoredBody } from "../../src/engines/local/objects/bodies/types.js";
import type { BodySource } from "../../src/engines/object-engine.js";

export const DIGEST = { md5: "", checksum: { algorithm: "CRC32", type: "FULL_OBJECT", value: "" } } as const;

/** Reads go by way of threads, as if each had waited for a disk. */
class ColdPace extends ReadPace {
  override get warm(): boolean {
    return false;
  }
}

export const PACES = [
  { pace: "warm", options: {} },
  { pace: "cold", options: { pace: new ColdPace() } },
] as const;

/** A folder of bodies with a store on it, and what its writer would record. */
export interface World {
  readonly dir: string;
  readonly store: BodyStore;
  readonly pool: BlockPool;
  /** Generations that are leased and not sealed. */
  readonly open: Set<number>;
  readonly problems: string[];
  put(bytes: Buffer): Promise<StoredBody>;
  get(body: StoredBody, offsetBytes?: number, lengthBytes?: number): Promise<Buffer>;
  pathOf(body: StoredBody): string;
  /** Every file under the folder. */
  files(): string[];
}

export async function makeWorld(options: Partial<BodyStoreOptions> = {}): Promise<World> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "granary-bodies-"));
  const pool = options.pool ?? new BlockPool();
  const open = new Set<number>();
  const problems: string[] = [];
  let last = 0;
  const store = await openBodyStore({
    generations: {
      async lease() {
        open.add(++last);
        return last;
      },
      async seal(generation) {
        open.delete(generation);
      },
    },
    log: pino({ level: "silent" }),
    onDamaged: (_body, problem) => problems.push(problem),
    ...options,
    dir,
    pool,
  });
  return {
    dir,
    store,
    pool,
    open,
    problems,
    async put(bytes) {
      const body = await store.write(sourceOf(bytes), { signal: new AbortController().signal });
      store.keep(body.bodyId);
      return { bodyId: body.bodyId, sizeBytes: body.sizeBytes };
    },
    async get(body, offsetBytes = 0, lengthBytes = body.sizeBytes - offsetBytes) {
      const opened = store.open(body);
      try {
        return await gather(opened.read(offsetBytes, lengthBytes));
      } finally {
        opened.close();
      }
    },
    pathOf: (body) => bodyPath(dir, body.bodyId),
    files: () =>
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
  };
}

export async function endWorld(world: World): Promise<void> {
  await world.store.close();
  rmSync(world.dir, { recursive: true, force: true });
}

export const sourceOf = (bytes: Buffer | AsyncIterable<Buffer>, lengthBytes?: number): BodySource => ({
  bytes,
  lengthBytes: lengthBytes ?? (Buffer.isBuffer(bytes) ? bytes.length : undefined),
  finish: () => DIGEST,
});

/** Pieces are copied: each is the store's again when the next is asked for. */
export async function gather(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

/** Bytes that repeat nowhere near a chunk's size. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 0xff;
  }
  return bytes;
}
