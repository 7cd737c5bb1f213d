import { refused, StorageError } from "../../../../errors/storage-error.js";
import {
  CHUNK_BYTES,
  FRAME_BYTES,
  HASH_BYTES,
  HEADER_BYTES,
  HEADER_HASH_AT,
  HEADER_INDEX,
  PAGE_BYTES,
  TRAILER_BYTES,
} from "./format.js";
import { HashedMemory } from "./hashed-memory.js";
import type { BodyId } from "./types.js";

/** Chunks of a large block: reads and writes of 512 KiB cost the least (docs/decisions/011-body-format.md). */
const LARGE_CHUNKS = 8;

export interface BlockPoolOptions {
  /** Blocks of eight chunks, for bodies. 64 uploads and 64 downloads at once take two each. */
  readonly largeBlocks?: number;
  /** Blocks of one chunk: for small bodies and ranges, and for everything when the large ones are taken. */
  readonly smallBlocks?: number;
  /** How long a body waits for a block before it is refused as busy. */
  readonly waitMs?: number;
}

/**
 * A piece of the pool's memory. For reads: chunks that lie behind each other, so that they go on as one, a header, and the
 * chunks' trailers. For writes: `image`, in which all lies as in the file.
 */
export interface Block {
  readonly chunks: number;
  /** All of it, from a page's boundary on: room for the rest of a page, a header, and as many frames as it has chunks. */
  readonly image: Buffer;
  readonly header: Buffer;
  /** All chunks as one Buffer. */
  readonly data: Buffer;
  /** Chunk and trailer by turns, as a file has them: chunk i is pieces[2 * i]. */
  readonly pieces: readonly Buffer[];
  readonly at: { readonly header: number; readonly data: number; readonly trailers: number };
}

/** Blocks of one size: made when first needed, at `start` and behind. */
interface SizeClass {
  readonly chunks: number;
  readonly most: number;
  readonly start: number;
  readonly free: Block[];
  made: number;
}

interface Waiter {
  take(block: Block): void;
}

/**
 * The memory through which all bodies of a process go, in both directions: of a fixed size, so what many uploads and
 * downloads take is bounded, and WebAssembly's, so that it is hashed where it lies. Pages that were never used cost nothing.
 */
export class BlockPool {
  readonly #memory: HashedMemory;
  readonly #large: SizeClass;
  readonly #small: SizeClass;
  readonly #waiting = new Set<Waiter>();
  readonly #waitMs: number;

  constructor(options: BlockPoolOptions = {}) {
    const { largeBlocks = 288, smallBlocks = 1024, waitMs = 15_000 } = options;
    this.#waitMs = waitMs;
    const largeBytes = largeBlocks * strideOf(LARGE_CHUNKS);
    this.#large = { chunks: LARGE_CHUNKS, most: largeBlocks, start: 0, made: 0, free: [] };
    this.#small = { chunks: 1, most: smallBlocks, start: largeBytes, made: 0, free: [] };
    this.#memory = new HashedMemory(largeBytes + smallBlocks * strideOf(1));
  }

  /** Blocks that are taken now. */
  get taken(): number {
    return takenOf(this.#large) + takenOf(this.#small);
  }

  /** A block for so many chunks, or a smaller one, if there is one at once; a second block of one body leaves some to others. */
  tryTake(chunks: number, second = false): Block | undefined {
    if (this.#waiting.size > 0) return undefined;
    if (second && takenOf(this.#large) > this.#large.most * 0.9) return undefined;
    const [best, other] = chunks > 1 ? [this.#large, this.#small] : [this.#small, this.#large];
    return this.#pop(best) ?? this.#pop(other);
  }

  /** @throws StorageError busy when none becomes free in time; cancelled */
  take(chunks: number, signal?: AbortSignal): Block | Promise<Block> {
    return this.tryTake(chunks) ?? this.#wait(signal);
  }

  release(block: Block): void {
    const [waiter] = this.#waiting;
    if (waiter !== undefined) {
      this.#waiting.delete(waiter);
      waiter.take(block);
    } else (block.chunks > 1 ? this.#large : this.#small).free.push(block);
  }

  /** Writes the trailer of the chunk that lies at image[at], `length` bytes, behind it. */
  seal({ image, at: { data: start } }: Block, at: number, length: number, bodyId: BodyId, index: number): void {
    const trailer = at + length;
    this.#memory.seal(start + at, length, bodyId, index, start + trailer);
    image.fill(0, trailer + HASH_BYTES, trailer + TRAILER_BYTES);
  }

  /** The trailer is this chunk's of this body, and the chunk's bytes are what it was made of. */
  intact(block: Block, i: number, length: number, bodyId: BodyId, index: number): boolean {
    const trailer = block.pieces[2 * i + 1] as Buffer;
    for (let at = HASH_BYTES; at < TRAILER_BYTES; at++) if (trailer[at] !== 0) return false;
    const { data, trailers } = block.at;
    return this.#memory.check(data + i * CHUNK_BYTES, length, bodyId, index, trailers + i * TRAILER_BYTES);
  }

  /** Of the header that lies at the image's start. */
  sealHeader({ at: { data: start } }: Block, bodyId: BodyId): void {
    this.#memory.seal(start, HEADER_HASH_AT, bodyId, HEADER_INDEX, start + HEADER_HASH_AT);
  }

  headerIntact({ at }: Block, bodyId: BodyId): boolean {
    return this.#memory.check(at.header, HEADER_HASH_AT, bodyId, HEADER_INDEX, at.header + HEADER_HASH_AT);
  }

  #wait(signal: AbortSignal | undefined): Promise<Block> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        take(taken) {
          end();
          resolve(taken);
        },
      };
      const aborted = () => {
        end();
        reject(new StorageError("cancelled", "the request ended while it waited for memory"));
      };
      const timer = setTimeout(() => {
        end();
        reject(refused("busy", "too many bodies are on their way at once; try again"));
      }, this.#waitMs);
      if (signal?.aborted) return aborted();
      signal?.addEventListener("abort", aborted);
      this.#waiting.add(waiter);
    });
  }

  // The block that was used last is the one that the processor's caches still hold.
  #pop(size: SizeClass): Block | undefined {
    const { chunks, start, made, most } = size;
    if (size.free.length > 0 || made === most) return size.free.pop();
    size.made++;
    return this.#block(start + made * strideOf(chunks), chunks);
  }

  #block(start: number, chunks: number): Block {
    const header = start + chunks * CHUNK_BYTES;
    const at = { data: start, header, trailers: header + HEADER_BYTES };
    const pieces: Buffer[] = [];
    for (let i = 0; i < chunks; i++) {
      pieces.push(this.#memory.view(at.data + i * CHUNK_BYTES, CHUNK_BYTES));
      pieces.push(this.#memory.view(at.trailers + i * TRAILER_BYTES, TRAILER_BYTES));
    }
    const data = this.#memory.view(start, chunks * CHUNK_BYTES);
    const image = this.#memory.view(start, strideOf(chunks));
    return { chunks, image, header: this.#memory.view(at.header, HEADER_BYTES), data, pieces, at };
  }
}

const takenOf = (size: SizeClass): number => size.made - size.free.length;

function strideOf(chunks: number): number {
  const bytes = PAGE_BYTES + HEADER_BYTES + chunks * FRAME_BYTES;
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
