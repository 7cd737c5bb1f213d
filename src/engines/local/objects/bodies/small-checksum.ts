import { HashedMemory } from "./hashed-memory.js";

export const SMALL_CHECKSUM_BYTES = 8;
/** What is hashed in one piece; inline bodies are smaller. */
const MOST_BYTES = 1024 ** 2;

let memory: HashedMemory | undefined;
let data: Buffer;
let hash: Buffer;

// One a thread, made when first asked for: what only reads configuration never needs it.
function prepared(): HashedMemory {
  if (memory === undefined) {
    memory = new HashedMemory(MOST_BYTES + SMALL_CHECKSUM_BYTES);
    data = memory.view(0, MOST_BYTES);
    hash = memory.view(MOST_BYTES, SMALL_CHECKSUM_BYTES);
  }
  return memory;
}

/**
 * Writes the checksum of an inline body, 8 bytes, to `out` at `at`. Seeded by `id`, a safe integer that names what the
 * bytes belong to: they are damaged under any other.
 */
export function writeSmallChecksum(bytes: Buffer, id: number, out: Buffer, at: number): void {
  const seeded = prepared();
  if (bytes.length > MOST_BYTES) throw new RangeError(`${bytes.length} bytes are too many for an inline body`);
  bytes.copy(data);
  seeded.seal(0, bytes.length, id, 0, MOST_BYTES);
  hash.copy(out, at);
}

/** The 8 bytes of `checksum` at `at` are what writeSmallChecksum made of these bytes and this id. */
export function smallIntact(bytes: Buffer, id: number, checksum: Buffer, at: number): boolean {
  const seeded = prepared();
  if (bytes.length > MOST_BYTES || at + SMALL_CHECKSUM_BYTES > checksum.length) return false;
  bytes.copy(data);
  checksum.copy(hash, 0, at, at + SMALL_CHECKSUM_BYTES);
  return seeded.check(0, bytes.length, id, 0, MOST_BYTES);
}
