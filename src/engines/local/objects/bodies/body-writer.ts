import { closeSync } from "node:fs";
import { invalid, StorageError } from "../../../../errors/storage-error.js";
import { step } from "../../../../runtime/steps.js";
import type { BodyDigest, BodySource } from "../../../object-engine.js";
import type { Block, BlockPool } from "./block-pool.js";
import { openFile, syncData, writePieces } from "./disk.js";
import { CHUNK_BYTES, chunksOf, frameAt, writeHeader } from "./format.js";
import type { FreeSpace } from "./free-space.js";
import type { GenerationFolder } from "./generation-folders.js";
import type { BodyId } from "./types.js";

/** A large body is synced on its way too, each time that it has grown by so much: the disk works while the client sends. */
const EARLY_SYNC_BYTES = 8 * 1024 ** 2;

/** How many such syncs run at once in a process: each takes a thread, and the last sync of a body must find one. */
export class EarlySyncs {
  #free = 2;

  /** Undefined: not now. */
  start(fd: number): Promise<void> | undefined {
    if (this.#free === 0) return undefined;
    this.#free--;
    return syncData(fd).finally(() => {
      this.#free++;
    });
  }
}

export interface BodyWriterParts {
  readonly earlySyncs: EarlySyncs;
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
  #fd: Promise<number> | undefined;
  #block: Block | undefined;
  /** Bytes in #block. */
  #filled = 0;
  /** The index of #block's first chunk. */
  #firstChunk = 0;
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
    this.#fd = openFile(this.#parts.path, "wx");
    this.#then(async () => {
      await this.#fd;
      step("object-body/created");
    });
    if (Buffer.isBuffer(source.bytes)) await this.#append(source.bytes);
    else for await (const piece of source.bytes) await this.#append(piece);
    this.#checkEnd();
    await this.#flush();
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
    if (this.#block !== undefined) this.#parts.pool.release(this.#block);
    this.#block = undefined;
    await this.#closeFile().catch(() => undefined);
    return true;
  }

  async #append(piece: Buffer): Promise<void> {
    this.#checkAlive();
    this.#sizeBytes += piece.length;
    if (this.#expectedBytes !== undefined && this.#sizeBytes > this.#expectedBytes)
      throw invalid(`the body has more than the ${this.#expectedBytes} bytes that were declared`);
    for (let at = 0; at < piece.length; ) {
      const block = this.#block ?? (await this.#takeBlock(piece.length - at));
      const inChunk = this.#filled % CHUNK_BYTES;
      const bytes = Math.min(piece.length - at, CHUNK_BYTES - inChunk);
      piece.copy(block.data, this.#filled, at, at + bytes);
      at += bytes;
      this.#filled += bytes;
      if (inChunk + bytes === CHUNK_BYTES) this.#seal(block, CHUNK_BYTES);
      if (this.#filled === block.data.length) await this.#flush();
    }
  }

  async #takeBlock(atHandBytes: number): Promise<Block> {
    const { pool, signal } = this.#parts;
    const restBytes = (this.#expectedBytes ?? Number.POSITIVE_INFINITY) - (this.#sizeBytes - atHandBytes);
    const chunks = chunksOf(Math.max(restBytes, atHandBytes));
    let block = pool.tryTake(chunks, this.#firstChunk > 0);
    if (block === undefined) {
      // Whoever waits holds no block.
      await this.#disk;
      block = await pool.take(chunks, signal);
    }
    if (this.#state === "abandoned") pool.release(block);
    this.#checkAlive();
    this.#block = block;
    return block;
  }

  /** The chunk that was filled last has so many bytes. */
  #seal(block: Block, length: number): void {
    const i = Math.ceil(this.#filled / CHUNK_BYTES) - 1;
    this.#parts.pool.seal(block, i, length, this.#parts.bodyId, this.#firstChunk + i);
  }

  /** Hands #block to the disk; settles when the disk has taken the one before it. */
  async #flush(): Promise<void> {
    if (this.#filled % CHUNK_BYTES > 0) this.#seal(this.#block as Block, this.#filled % CHUNK_BYTES);
    const { pool, space, bodyId } = this.#parts;
    const isFirst = this.#firstChunk === 0;
    // An empty body is its header alone.
    const block = this.#block ?? (isFirst ? await this.#takeBlock(0) : undefined);
    if (block === undefined) return;
    const filled = this.#filled;
    if (space.spend(filled)) await space.require(0);
    await this.#disk;
    this.#checkAlive();
    const chunks = chunksOf(filled);
    const pieces = block.pieces.slice(0, 2 * chunks);
    if (filled % CHUNK_BYTES > 0) pieces[2 * chunks - 2] = block.data.subarray((chunks - 1) * CHUNK_BYTES, filled);
    if (isFirst) {
      writeHeader(block.header, bodyId);
      pool.sealHeader(block, bodyId);
      pieces.unshift(block.header);
    }
    const position = isFirst ? 0 : frameAt(this.#firstChunk);
    this.#block = undefined;
    this.#filled = 0;
    this.#firstChunk += chunks;
    this.#then(async () => {
      const fd = await (this.#fd as Promise<number>);
      try {
        await writePieces(fd, pieces, position);
      } finally {
        pool.release(block);
      }
      this.#syncEarly(fd, position);
    });
  }

  #syncEarly(fd: number, writtenBytes: number): void {
    if (this.#parts.relaxed || this.#earlySync !== undefined || writtenBytes < this.#syncedBytes + EARLY_SYNC_BYTES)
      return;
    const sync = this.#parts.earlySyncs.start(fd);
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
    const fd = await (this.#fd as Promise<number>);
    this.#checkAlive();
    if (!relaxed) this.#then(() => Promise.all([this.#earlySync, syncData(fd), folder.sync()]));
    this.#then(() => this.#closeFile());
    await this.#disk;
  }

  async #closeFile(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) closeSync(await fd);
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
