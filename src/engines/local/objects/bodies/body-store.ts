import { mkdir } from "node:fs/promises";
import type { Logger } from "pino";
import { StorageError } from "../../../../errors/storage-error.js";
import type { BodyDigest, BodySource } from "../../../object-engine.js";
import { BlockPool } from "./block-pool.js";
import { DirectWrites } from "./body-file.js";
import { BodyReader } from "./body-reader.js";
import { BodyWriter, EarlySyncs } from "./body-writer.js";
import { diskFailure } from "./disk.js";
import { FreeSpace } from "./free-space.js";
import { bodyPath, GenerationFolders } from "./generation-folders.js";
import { ReadPace } from "./read-pace.js";
import type { BodyId, BodyStore, Generations, OpenBody, StoredBody, WriteOptions } from "./types.js";

/**
 * So long a body pushes much out of the page cache, and is seldom read at once by many. What is shorter is written through
 * it, as its first read would cost more than its write saves (docs/decisions/016).
 */
const DIRECT_BYTES = 256 * 1024 ** 2;

type WrittenBody = StoredBody & { readonly digest: BodyDigest };

export interface BodyStoreOptions {
  /** The folder of bodies; made if it is not there. */
  readonly dir: string;
  readonly generations: Generations;
  readonly log: Logger;
  /** One pool for a process: it bounds the memory of all bodies together. */
  readonly pool?: BlockPool;
  /** From this length on bodies are written past the page cache. */
  readonly directBytes?: number;
  /** Says which way reads go; for tests. */
  readonly pace?: ReadPace;
  /** Told of each damaged body that a read finds. */
  readonly onDamaged?: (body: StoredBody, problem: string) => void;
}

/** @throws StorageError when the folder cannot be made */
export async function openBodyStore(options: BodyStoreOptions): Promise<BodyStore> {
  try {
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw diskFailure(error, `making ${options.dir}`);
  }
  return new FileBodyStore(options);
}

class FileBodyStore implements BodyStore {
  readonly #options: BodyStoreOptions;
  readonly #pool: BlockPool;
  readonly #space: FreeSpace;
  readonly #folders: GenerationFolders;
  readonly #pace: ReadPace;
  readonly #earlySyncs = new EarlySyncs();
  readonly #direct = new DirectWrites();
  readonly #writing = new Set<Promise<unknown>>();

  constructor(options: BodyStoreOptions) {
    this.#options = options;
    this.#pool = options.pool ?? new BlockPool();
    this.#pace = options.pace ?? new ReadPace();
    this.#space = new FreeSpace(options.dir);
    this.#folders = new GenerationFolders(options.dir, options.generations, options.log);
  }

  write(source: BodySource, options: WriteOptions): Promise<WrittenBody> {
    const { signal } = options;
    if (signal.aborted) return Promise.reject(ended());
    return new Promise((resolve, reject) => {
      let aborted = false;
      // A disk that hangs keeps the file and the memory until it answers, but not the request.
      const onAbort = () => {
        aborted = true;
        reject(ended());
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const writing = this.#write(source, options)
        .then((body) => (aborted ? this.discard(body.bodyId) : resolve(body)), reject)
        .finally(() => {
          signal.removeEventListener("abort", onAbort);
          this.#writing.delete(writing);
        });
      this.#writing.add(writing);
    });
  }

  keep(bodyId: BodyId): void {
    this.#folders.settle(bodyId);
  }

  discard(bodyId: BodyId): Promise<void> {
    return this.#folders.remove(bodyId);
  }

  open(body: StoredBody, listener?: () => void): OpenBody {
    const path = bodyPath(this.#options.dir, body.bodyId);
    const onDamaged = listener ?? this.#options.onDamaged ?? (() => undefined);
    return new BodyReader({ pool: this.#pool, pace: this.#pace, body, path, onDamaged });
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#writing);
    await this.#folders.close();
  }

  /** Settles when the body is whole, or all of it is freed. */
  async #write(source: BodySource, options: WriteOptions): Promise<WrittenBody> {
    await this.#space.require(source.lengthBytes ?? 0);
    const { folder, bodyId } = await this.#folders.takeSlot();
    const { signal, relaxed = false } = options;
    const path = bodyPath(this.#options.dir, bodyId);
    const { directBytes = DIRECT_BYTES } = this.#options;
    const direct = { direct: this.#direct, directBytes };
    const shared = { pool: this.#pool, space: this.#space, earlySyncs: this.#earlySyncs, ...direct };
    const parts = { ...shared, folder, bodyId, path, signal, relaxed };
    const writer = new BodyWriter(parts, source.lengthBytes);
    let clearing: Promise<void> | undefined;
    const clear = (): Promise<void> => {
      clearing ??= writer.abandon().then((abandoned) => (abandoned ? this.#folders.remove(bodyId) : undefined));
      return clearing;
    };
    let onAbort = () => {};
    // At once, not when run() ends: a source that never answers again must keep neither memory nor file.
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => void clear().then(() => reject(ended()));
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      const { sizeBytes, digest } = await Promise.race([writer.run(source), aborted]);
      return { bodyId, sizeBytes, digest };
    } catch (error) {
      await clear();
      throw diskFailure(error, `writing body ${bodyId}`);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}

const ended = () => new StorageError("cancelled", "the request ended before its body was stored");
