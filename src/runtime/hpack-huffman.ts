/**
 * HPACK's Huffman code, RFC 7541 section 5.2 and Appendix B: how many bits each byte's code has; the last entry is the
 * end of string. The code is canonical: of one length, codes rise with their byte, so that the lengths say it all.
 */
export const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];

const EOS = 256;
const LONGEST_BITS = 30;

/** For each length: the first code of that length, and where its bytes begin in `BYTES`. */
const FIRST: { code: number; at: number; count: number }[] = [];
const BYTES: number[] = [];

{
  let code = 0;
  for (let bits = 0; bits <= LONGEST_BITS; bits++) {
    const at = BYTES.length;
    for (let byte = 0; byte <= EOS; byte++) if (CODE_BITS[byte] === bits) BYTES.push(byte);
    const count = BYTES.length - at;
    FIRST.push({ code, at, count });
    code = (code + count) * 2;
  }
}

/**
 * The bytes that a Huffman-coded string stands for, or null when it is malformed: it holds the end of string, or what
 * pads its last byte is a whole byte or more, or not all ones.
 */
export function decodeHuffman(coded: Uint8Array): Buffer | null {
  const decoded: number[] = [];
  let [code, bits] = [0, 0];
  for (const byte of coded) {
    for (let shift = 7; shift >= 0; shift--) {
      code = code * 2 + ((byte >> shift) & 1);
      bits++;
      const { code: first, at, count } = FIRST[bits] as (typeof FIRST)[number];
      if (code - first >= count) continue;
      const symbol = BYTES[at + code - first] as number;
      if (symbol === EOS) return null;
      decoded.push(symbol);
      code = 0;
      bits = 0;
    }
  }
  return bits < 8 && code === 2 ** bits - 1 ? Buffer.from(decoded) : null;
}
