import { sequenceKey } from "./keys.js";
import type { Tables } from "./tables.js";

/**
 * Small bodies, in the metadata's environment. LMDB gives a value that does not fit beside others whole pages of its own,
 * and 24 bytes of the first are its header: 4 KiB, the size that many objects have, would take 8 KiB. So what would begin
 * one more page, if it is little, lies in a table of its own, where it shares pages with others'.
 */
const PAGE_BYTES = 4096;
const HEADER_BYTES = 24;
/** Smaller values lie in a leaf, beside others. */
const LEAF_BYTES = 2000;
/** A longer rest is worth a page. */
const MAX_TAIL_BYTES = 1024;

/** How much of a body lies in its own pages; the rest is its tail. Part of the stored format. */
function headLength(sizeBytes: number): number {
  if (sizeBytes <= LEAF_BYTES) return sizeBytes;
  const rest = (sizeBytes + HEADER_BYTES) % PAGE_BYTES;
  return sizeBytes + HEADER_BYTES > PAGE_BYTES && rest <= MAX_TAIL_BYTES ? sizeBytes - rest : sizeBytes;
}

/** Within a transaction. */
export function putInline(tables: Tables, id: number, bytes: Buffer): void {
  const key = sequenceKey(id);
  const head = headLength(bytes.length);
  if (head === bytes.length) {
    tables.inline.putSync(key, bytes);
    return;
  }
  tables.inline.putSync(key, bytes.subarray(0, head));
  tables.inlineTails.putSync(key, bytes.subarray(head));
}

/** Within a transaction. */
export function removeInline(tables: Tables, id: number, sizeBytes: number): void {
  const key = sequenceKey(id);
  tables.inline.removeSync(key);
  if (headLength(sizeBytes) < sizeBytes) tables.inlineTails.removeSync(key);
}

const EMPTY = Buffer.alloc(0);

// A buffer of its own costs more to make, and to collect, than a small body does to read. Node's own pool stops below 4 KiB.
const SLAB_BYTES = 64 * 1024;
const MAX_SLAB_BODY_BYTES = 8 * 1024;
let slab = EMPTY;
let slabAt = 0;

function allocate(bytes: number): Buffer {
  if (bytes > MAX_SLAB_BODY_BYTES) return Buffer.allocUnsafeSlow(bytes);
  if (slab.length - slabAt < bytes) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    slabAt = 0;
  }
  const start = slabAt;
  // Eight bytes at a time are hashed.
  slabAt = (start + bytes + 7) & ~7;
  return slab.subarray(start, start + bytes);
}

/** A copy. What is missing of it is left out: who reads compares with size and check, and says that it is damaged. */
export function readInline(tables: Tables, id: number, sizeBytes: number): Buffer {
  const key = sequenceKey(id);
  const headBytes = headLength(sizeBytes);
  const head = tables.inline.getBinaryFast(key);
  if (head?.length !== headBytes) return EMPTY;
  const bytes = allocate(sizeBytes);
  bytes.set(head.subarray(0, headBytes));
  if (headBytes === sizeBytes) return bytes;
  const tail = tables.inlineTails.getBinaryFast(key);
  if (tail?.length !== sizeBytes - headBytes) return EMPTY;
  bytes.set(tail.subarray(0, tail.length), headBytes);
  return bytes;
}

/** How many rows hold the body; undefined when one is missing. */
export function inlineRows(tables: Tables, id: number, sizeBytes: number): number | undefined {
  const key = sequenceKey(id);
  if (!tables.inline.doesExist(key)) return undefined;
  if (headLength(sizeBytes) === sizeBytes) return 1;
  return tables.inlineTails.doesExist(key) ? 2 : undefined;
}
