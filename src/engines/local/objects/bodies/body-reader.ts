import { closeSync } from "node:fs";
import { refused, StorageError } from "../../../../errors/storage-error.js";
import type { Block, BlockPool } from "./block-pool.js";
import { diskFailure, isMissing, openFile, openToRead, readPieces, readPiecesNow } from "./disk.js";
import { CHUNK_BYTES, chunksOf, frameAt, headerProblem } from "./format.js";
import type { ReadPace } from "./read-pace.js";
import type { OpenBody, StoredBody } from "./types.js";

export interface BodyReaderParts {
  readonly pool: BlockPool;
  readonly pace: ReadPace;
  readonly body: StoredBody;
  readonly path: string;
  /** Told of each damage, once a read. */
  readonly onDamaged: (body: StoredBody, problem: string) => void;
}

/** A run of chunks on its way into a block. */
interface Step {
  readonly block: Block;
  readonly firstChunk: number;
  readonly chunks: number;
  /** Undefined: it is there. */
  readonly done: Promise<void> | undefined;
}

/** A body's file, open from the first read to close(). */
export class BodyReader implements OpenBody {
  readonly #parts: BodyReaderParts;
  #fd: number | Promise<number> | undefined;
  #reads = 0;
  #closed = false;

  constructor(parts: BodyReaderParts) {
    this.#parts = parts;
  }

  async *read(offsetBytes: number, lengthBytes: number): AsyncGenerator<Buffer, void, undefined> {
    const end = offsetBytes + lengthBytes;
    if (lengthBytes === 0) return;
    if (offsetBytes < 0 || lengthBytes < 0 || end > this.#parts.body.sizeBytes)
      throw new StorageError("out-of-range", `the body has ${this.#parts.body.sizeBytes} bytes, not ${end}`);
    this.#reads++;
    let next: Step | undefined;
    try {
      const lastChunk = chunksOf(end) - 1;
      let chunk = Math.floor(offsetBytes / CHUNK_BYTES);
      while (chunk <= lastChunk) {
        const step: Step = next ?? (await this.#start(chunk, lastChunk));
        next = undefined;
        chunk = step.firstChunk + step.chunks;
        try {
          if (step.done !== undefined) await step.done;
          // The block after this one is read while the caller sends this one; without a spare block, after it.
          if (chunk <= lastChunk && !this.#parts.pace.warm) next = this.#startAhead(chunk, lastChunk);
          this.#verify(step);
          const base = step.firstChunk * CHUNK_BYTES;
          yield step.block.data.subarray(
            Math.max(0, offsetBytes - base),
            Math.min(step.chunks * CHUNK_BYTES, end - base),
          );
        } finally {
          this.#parts.pool.release(step.block);
        }
      }
    } catch (error) {
      throw this.#failure(error);
    } finally {
      if (next !== undefined) {
        await next.done?.catch(() => undefined);
        this.#parts.pool.release(next.block);
      }
      this.#reads--;
      this.#closeWhenDone();
    }
  }

  close(): void {
    this.#closed = true;
    this.#closeWhenDone();
  }

  async #start(firstChunk: number, lastChunk: number): Promise<Step> {
    const wanted = lastChunk - firstChunk + 1;
    return this.#into(await this.#parts.pool.take(wanted), firstChunk, wanted);
  }

  #startAhead(firstChunk: number, lastChunk: number): Step | undefined {
    const wanted = lastChunk - firstChunk + 1;
    const block = this.#parts.pool.tryTake(wanted, true);
    return block && this.#into(block, firstChunk, wanted);
  }

  #into(block: Block, firstChunk: number, wanted: number): Step {
    const chunks = Math.min(wanted, block.chunks);
    const position = firstChunk === 0 ? 0 : frameAt(firstChunk);
    const pieces = this.#piecesOf(block, firstChunk, chunks);
    const done = this.#parts.pace.warm ? this.#fillNow(pieces, position) : this.#fill(pieces, position);
    // Awaited later, or not at all when the step before it fails.
    done?.catch(() => undefined);
    return { block, firstChunk, chunks, done };
  }

  #piecesOf(block: Block, firstChunk: number, chunks: number): Buffer[] {
    const pieces = block.pieces.slice(0, 2 * chunks);
    const last = this.#lengthOf(firstChunk + chunks - 1);
    const at = (chunks - 1) * CHUNK_BYTES;
    if (last < CHUNK_BYTES) pieces[2 * chunks - 2] = block.data.subarray(at, at + last);
    if (firstChunk === 0) pieces.unshift(block.header);
    return pieces;
  }

  async #fill(pieces: readonly Buffer[], position: number): Promise<void> {
    this.#checkOpen();
    this.#fd ??= openFile(this.#parts.path, "r");
    const got = await readPieces(await this.#fd, pieces, position);
    if (got < lengthOf(pieces)) throw this.#tooShort();
  }

  /** Undefined: the pieces are filled. */
  #fillNow(pieces: readonly Buffer[], position: number): Promise<void> | undefined {
    const { pace, path } = this.#parts;
    try {
      this.#checkOpen();
      this.#fd ??= pace.timed(0, () => openToRead(path));
      if (typeof this.#fd !== "number") return this.#fill(pieces, position);
      const fd = this.#fd;
      const wanted = lengthOf(pieces);
      if (pace.timed(wanted, () => readPiecesNow(fd, pieces, position)) < wanted) throw this.#tooShort();
      return undefined;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new StorageError("cancelled", "the body was closed while it was read");
  }

  #verify(step: Step): void {
    const { pool, body } = this.#parts;
    const { block, firstChunk, chunks } = step;
    if (firstChunk === 0) {
      const problem = pool.headerIntact(block, body.bodyId)
        ? headerProblem(block.header)
        : "its header is not what was written";
      if (problem !== undefined) throw this.#damaged(problem);
    }
    for (let i = 0; i < chunks; i++) {
      const index = firstChunk + i;
      if (!pool.intact(block, i, this.#lengthOf(index), body.bodyId, index))
        throw this.#damaged(`chunk ${index} is not what was written`);
    }
  }

  #lengthOf(chunk: number): number {
    return Math.min(CHUNK_BYTES, this.#parts.body.sizeBytes - chunk * CHUNK_BYTES);
  }

  #tooShort(): StorageError {
    return this.#damaged("its file is too short");
  }

  #damaged(problem: string): StorageError {
    return refused("damaged", `body ${this.#parts.body.bodyId} is damaged: ${problem}`);
  }

  #failure(error: unknown): Error {
    const failure = isMissing(error)
      ? this.#damaged("its file is missing")
      : diskFailure(error, `reading body ${this.#parts.body.bodyId}`);
    if (failure instanceof StorageError && failure.reason === "damaged")
      this.#parts.onDamaged(this.#parts.body, failure.message);
    return failure;
  }

  #closeWhenDone(): void {
    if (!this.#closed || this.#reads > 0 || this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    if (typeof fd === "number") closeSync(fd);
    else fd.then(closeSync).catch(() => undefined);
  }
}

function lengthOf(pieces: readonly Buffer[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return bytes;
}
