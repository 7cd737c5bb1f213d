import { createHash } from "node:crypto";
import { sha256Hex } from "./sigv4.js";

export interface Body {
  data: Buffer;
  sha256: string;
}

/** Distinct ones at most: enough that no server stores one body for all, few enough to hash them all beforehand. */
const MAX_BODIES = 64;
const MAX_TOTAL_BYTES = 128 * 1024 ** 2;

/**
 * The bodies that objects of a size have, by the key's number: no compressor makes them smaller, and every process
 * that is told the size makes the same.
 */
export function bodiesOf(sizeBytes: number): (key: number) => Body {
  const count = Math.max(1, Math.min(MAX_BODIES, Math.floor(MAX_TOTAL_BYTES / Math.max(1, sizeBytes))));
  const bodies = Array.from({ length: count }, (_, i): Body => {
    const data = pseudoRandom(sizeBytes, i);
    return { data, sha256: sha256Hex(data) };
  });
  return (key) => bodies[key % count] as Body;
}

/** SHA-512 of a counter would do and be slow; a block of it, repeated at another offset each time, is fast enough. */
function pseudoRandom(bytes: number, seed: number): Buffer {
  const data = Buffer.allocUnsafe(bytes);
  let state = createHash("sha256").update(`granary bench ${seed}`).digest().readUInt32LE(0) | 1;
  const words = bytes >> 2;
  for (let i = 0; i < words; i++) {
    // Marsaglia's xorshift32.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    data.writeInt32LE(state, i * 4);
  }
  for (let i = words * 4; i < bytes; i++) data[i] = (state >>> ((i & 3) * 8)) & 0xff;
  return data;
}
