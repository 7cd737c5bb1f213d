import type { Block, BlockPool } from "./block-pool.js";
import { CHUNK_BYTES, HEADER_BYTES, PAGE_BYTES, TRAILER_BYTES, writeHeader } from "./format.js";
import type { BodyId } from "./types.js";

/**
 * Some chunks of a body, in a block, as they lie in its file: behind what was left over of the stretch before, so that the
 * stretch begins at a page's boundary of file and memory, and its whole pages can be written past the page cache.
 */
export class FileStretch {
  readonly block: Block;
  readonly #pool: BlockPool;
  readonly #bodyId: BodyId;
  /** Bytes of the image. */
  #used: number;
  /** The chunk that is being filled: the body's, and how much of it is there. */
  #index: number;
  #chunkBytes = 0;
  #chunksLeft: number;

  /** @param rest the bytes of the file between its last page's boundary and the chunk `firstChunk`; none before chunk 0 */
  constructor(pool: BlockPool, block: Block, bodyId: BodyId, firstChunk: number, rest: Buffer) {
    this.block = block;
    this.#pool = pool;
    this.#bodyId = bodyId;
    this.#index = firstChunk;
    this.#chunksLeft = block.chunks;
    this.#used = rest.copy(block.image);
    if (firstChunk > 0) return;
    writeHeader(block.image, bodyId);
    pool.sealHeader(block, bodyId);
    this.#used = HEADER_BYTES;
  }

  get isFull(): boolean {
    return this.#chunksLeft === 0;
  }

  /** The index of the chunk behind the last one that has begun. */
  get nextChunk(): number {
    return this.#index + (this.#chunkBytes > 0 ? 1 : 0);
  }

  /** Takes what fits in the chunk that is being filled, of piece[from...]. @returns how many bytes that were */
  add(piece: Buffer, from: number): number {
    const at = this.#used + this.#chunkBytes;
    const bytes = piece.copy(this.block.image, at, from, from + CHUNK_BYTES - this.#chunkBytes);
    this.#chunkBytes += bytes;
    if (this.#chunkBytes === CHUNK_BYTES) this.endChunk();
    return bytes;
  }

  /** The chunk that is being filled, if one is, gets no more bytes. */
  endChunk(): void {
    if (this.#chunkBytes === 0) return;
    this.#pool.seal(this.block, this.#used, this.#chunkBytes, this.#bodyId, this.#index);
    this.#used += this.#chunkBytes + TRAILER_BYTES;
    this.#index++;
    this.#chunkBytes = 0;
    this.#chunksLeft--;
  }

  /** All of it, at its end. */
  get bytes(): Buffer {
    return this.block.image.subarray(0, this.#used);
  }

  /** The whole pages of it. */
  get pages(): Buffer {
    return this.block.image.subarray(0, this.#used - (this.#used % PAGE_BYTES));
  }
}
