/**
 * A body's file (docs/decisions/011-body-format.md): a header, then frames of one chunk and its trailer, all little endian.
 *
 *   header   0 magic "GRANBODY"   8 u16 version   10 u16 flags, 0   12 u32 chunk size   16 u32 cipher, 0 for none
 *           20 u32 generation   24 u32 slot   28 ... 0   56 u64 hash of the bytes before it
 *   trailer  0 u64 hash of the chunk, seeded by body id and chunk index   8 u64 0, kept for a cipher's tag of 16 bytes
 *
 * Every chunk but the last is CHUNK_BYTES long. The seeds tell a chunk that lies in a wrong place or file from the right one.
 */
import { BODIES_PER_GENERATION, type BodyId, generationOf } from "./types.js";

export const HEADER_BYTES = 64;
export const TRAILER_BYTES = 16;
export const HASH_BYTES = 8;
export const CHUNK_BYTES = 64 * 1024;
export const FRAME_BYTES = CHUNK_BYTES + TRAILER_BYTES;

/** What a disk writes at once, and memory and place of a write past the page cache are multiples of. */
export const PAGE_BYTES = 4096;

/** The index that seeds the header's own hash; no chunk has it. */
export const HEADER_INDEX = 0xffff_ffff;
export const HEADER_HASH_AT = HEADER_BYTES - HASH_BYTES;

const MAGIC = Buffer.from("GRANBODY", "latin1");
const VERSION = 1;

export const slotOf = (bodyId: BodyId): number => bodyId % BODIES_PER_GENERATION;

/** How many chunks a body of so many bytes has. */
export const chunksOf = (sizeBytes: number): number => Math.ceil(sizeBytes / CHUNK_BYTES);

/** Where a chunk's frame begins in the file. */
export const frameAt = (chunk: number): number => HEADER_BYTES + chunk * FRAME_BYTES;

/** How long the file of a body is. */
export const fileBytes = (sizeBytes: number): number => HEADER_BYTES + sizeBytes + chunksOf(sizeBytes) * TRAILER_BYTES;

/** All of the header but its hash. */
export function writeHeader(header: Buffer, bodyId: BodyId): void {
  header.fill(0, 0, HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt16LE(VERSION, 8);
  header.writeUInt32LE(CHUNK_BYTES, 12);
  header.writeUInt32LE(generationOf(bodyId), 20);
  header.writeUInt32LE(slotOf(bodyId), 24);
}

/** What is wrong with a header whose hash is right already, or undefined. */
export function headerProblem(header: Buffer): string | undefined {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) return "the file does not begin like a body";
  const version = header.readUInt16LE(8);
  const plain =
    header.readUInt16LE(10) === 0 && header.readUInt32LE(12) === CHUNK_BYTES && header.readUInt32LE(16) === 0;
  if (version === VERSION && plain) return undefined;
  return `the file is of a format that this Granary does not know (version ${version})`;
}
