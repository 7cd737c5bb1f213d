import { invalid, StorageError } from "../../../../errors/storage-error.js";
import { step } from "../../../../runtime/steps.js";
import type { BodyDigest, BodySource } from "../../../object-engine.js";
import type { BlockPool } from "./block-pool.js";
import { BodyFile, type DirectWrites } from "./body-file.js";
import { FileStretch } from "./file-stretch.js";
import { chunksOf, frameAt, PAGE_BYTES } from "./format.js";
import type { FreeSpace } from "./free-space.js";
import type { GenerationFolder } from "./generation-folders.js";
import type { BodyId } from "./types.js";

/** A large body that goes through the page cache is synced on its way too, each time that it has grown by so much: the disk works while the client sends. */
const EARLY_SYNC_BYTES = 8 * 1024 ** 2;

/** How many such syncs run at once in a process: each takes a thread, and the last sync of a body must find one. */
export class EarlySyncs {
  #free = 2;

  /** Undefined: not now. */
  start(file: BodyFile): Promise<void> | undefined {
    if (this.#free === 0) return undefined;
    this.#free--;
    return file.sync().finally(() => {
      this.#free++;
    });
  }
}

export interface BodyWriterParts {
  readonly earlySyncs: EarlySyncs;
  readonly direct: DirectWrites;
  /** From this length on a body goes past the page cache. */
  readonly directBytes: number;
  readonly pool: BlockPool;
  readonly space: FreeSpace;
  readonly folder: GenerationFolder;
  readonly bodyId: BodyId;
  readonly path: string;
  readonly signal: AbortSignal;
  readonly relaxed: boolean;
}

/**
 * One body on its way to its file. Bytes are copied into blocks, hashed there, and written a block at a time, while the
 * next block fills; so an upload has two blocks at most, and never waits for the disk unless both are full.
 */
export class BodyWriter {
  readonly #parts: BodyWriterParts;
  readonly #expectedBytes: number | undefined;
  #file: Promise<BodyFile> | undefined;
  #stretch: FileStretch | undefined;
  /** Of the file, what the stretch before left over: less than a page. */
  #rest = Buffer.alloc(0);
  /** The index of the first chunk behind the stretches that the disk was given. */
  #nextChunk = 0;
  #sizeBytes = 0;
  /** The newest call of the disk: each begins after the one before has ended. */
  #disk: Promise<unknown> = Promise.resolve();
  /** A failed sync is told once by the kernel, so this one's failure is the body's. */
  #earlySync: Promise<void> | undefined;
  #syncedBytes = 0;
  #state: "writing" | "finished" | "abandoned" = "writing";

  constructor(parts: BodyWriterParts, lengthBytes: number | undefined) {
    this.#parts = parts;
    this.#expectedBytes = lengthBytes;
  }

  /** Settles when everything is on disk and the file is closed. After a failure, call abandon(). */
  async run(source: BodySource): Promise<{ sizeBytes: number; digest: BodyDigest }> {
    const isDirect = !this.#parts.relaxed && (this.#expectedBytes ?? 0) >= this.#parts.directBytes;
    this.#file = BodyFile.create(this.#parts.path, isDirect ? this.#parts.direct : undefined);
    this.#then(async () => {
      await this.#file;
      step("object-body/created");
    });
    if (Buffer.isBuffer(source.bytes)) await this.#append(source.bytes);
    else {
      for await (const piece of source.bytes) {
        const wait = this.#append(piece);
        if (wait) await wait;
      }
    }
    this.#checkEnd();
    await this.#writeEnd();
    step("object-body/written");
    const [digest] = await Promise.all([source.finish(), this.#settleOnDisk()]);
    step("object-body/synced");
    this.#checkAlive();
    this.#state = "finished";
    return { sizeBytes: this.#sizeBytes, digest };
  }

  /**
   * Frees the memory and closes the file, when the disk has answered what was asked of it, also while run() waits for
   * its source. False: run() has finished, and the body is its caller's.
   */
  async abandon(): Promise<boolean> {
    if (this.#state === "finished") return false;
    this.#state = "abandoned";
    await this.#disk.catch(() => undefined);
    await this.#earlySync?.catch(() => undefined);
    if (this.#stretch !== undefined) this.#parts.pool.release(this.#stretch.block);
    this.#stretch = undefined;
    await this.#closeFile().catch(() => undefined);
    return true;
  }

  /** A promise where it has to wait for memory or the disk. */
  #append(piece: Buffer): void | Promise<void> {
    this.#checkAlive();
    this.#sizeBytes += piece.length;
    if (this.#expectedBytes !== undefined && this.#sizeBytes > this.#expectedBytes)
      throw invalid(`the body has more than the ${this.#expectedBytes} bytes that were declared`);
    const at = this.#stretch === undefined ? 0 : this.#fill(this.#stretch, piece, 0);
    if (at < piece.length || this.#stretch?.isFull) return this.#appendRest(piece, at);
  }

  async #appendRest(piece: Buffer, from: number): Promise<void> {
    for (let at = from; ; ) {
      // The last stretch takes what is left of its last page along.
      const isLast = at === piece.length && this.#sizeBytes === this.#expectedBytes;
      if (this.#stretch?.isFull) await this.#write(this.#stretch, isLast ? this.#stretch.bytes : this.#stretch.pages);
      if (at === piece.length) return;
      at = this.#fill(this.#stretch ?? (await this.#begin(piece.length - at)), piece, at);
    }
  }

  /** Copies as much of piece[from...] as there is room for. @returns where in the piece it ended */
  #fill(stretch: FileStretch, piece: Buffer, from: number): number {
    let at = from;
    while (at < piece.length && !stretch.isFull) at += stretch.add(piece, at);
    return at;
  }

  /** A stretch for what is at hand and what is to come. */
  async #begin(atHandBytes: number): Promise<FileStretch> {
    const { pool, signal, bodyId } = this.#parts;
    const restBytes = (this.#expectedBytes ?? Number.POSITIVE_INFINITY) - (this.#sizeBytes - atHandBytes);
    const chunks = chunksOf(Math.max(restBytes, atHandBytes));
    let block = pool.tryTake(chunks, this.#nextChunk > 0);
    if (block === undefined) {
      // Whoever waits holds no block.
      await this.#disk;
      block = await pool.take(chunks, signal);
    }
    if (this.#state === "abandoned") pool.release(block);
    this.#checkAlive();
    this.#stretch = new FileStretch(pool, block, bodyId, this.#nextChunk, this.#rest);
    return this.#stretch;
  }

  /** What is left at the body's end. An empty body is its header alone. */
  async #writeEnd(): Promise<void> {
    if (this.#stretch === undefined && this.#nextChunk > 0 && this.#rest.length === 0) return;
    const stretch = this.#stretch ?? (await this.#begin(0));
    stretch.endChunk();
    await this.#write(stretch, stretch.bytes);
  }

  /** Hands the stretch to the disk, which writes `bytes` of it now; settles when the disk has taken the one before it. */
  async #write(stretch: FileStretch, bytes: Buffer): Promise<void> {
    const { pool, space } = this.#parts;
    if (space.spend(bytes.length)) await space.require(0);
    await this.#disk;
    this.#checkAlive();
    const position = pageOf(this.#nextChunk);
    this.#rest = Buffer.from(stretch.bytes.subarray(bytes.length));
    this.#nextChunk = stretch.nextChunk;
    this.#stretch = undefined;
    this.#then(async () => {
      const file = await (this.#file as Promise<BodyFile>);
      try {
        await file.write(bytes, position);
      } finally {
        pool.release(stretch.block);
      }
      this.#syncEarly(file, position);
    });
  }

  #syncEarly(file: BodyFile, writtenBytes: number): void {
    if (this.#parts.relaxed || file.isDirect || this.#earlySync !== undefined) return;
    if (writtenBytes < this.#syncedBytes + EARLY_SYNC_BYTES) return;
    const sync = this.#parts.earlySyncs.start(file);
    if (sync === undefined) return;
    this.#syncedBytes = writtenBytes;
    this.#earlySync = sync.then(() => {
      this.#earlySync = undefined;
    });
    this.#earlySync.catch(() => undefined);
  }

  async #settleOnDisk(): Promise<void> {
    const { folder, relaxed } = this.#parts;
    await this.#disk;
    const file = await (this.#file as Promise<BodyFile>);
    this.#checkAlive();
    if (!relaxed) this.#then(() => Promise.all([this.#earlySync, file.sync(), folder.sync()]));
    this.#then(() => this.#closeFile());
    await this.#disk;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    (await file)?.close();
  }

  /** Its failure is told to whoever awaits #disk next. */
  #then(call: () => Promise<unknown>): void {
    this.#disk = this.#disk.then(call);
    this.#disk.catch(() => undefined);
  }

  #checkEnd(): void {
    this.#checkAlive();
    if (this.#expectedBytes !== undefined && this.#sizeBytes < this.#expectedBytes)
      throw invalid(`the body has ${this.#sizeBytes} bytes; ${this.#expectedBytes} were declared`);
  }

  #checkAlive(): void {
    if (this.#state === "abandoned" || this.#parts.signal.aborted)
      throw new StorageError("cancelled", "the request ended before its body was stored");
  }
}

/** Where the page begins in which a chunk's frame begins; a body's first stretch begins with its header. */
const pageOf = (chunk: number): number => (chunk === 0 ? 0 : frameAt(chunk) - (frameAt(chunk) % PAGE_BYTES));
