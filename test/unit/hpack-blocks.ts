import fc from "fast-check";
import { CODE_BITS } from "../../src/runtime/hpack-huffman.js";

/** An encoder and a decoder of HPACK (RFC 7541), written for clearness, to hold the driver's reader against. */

/** How a field is written: RFC 7541 section 6.2's three literals, and which of its strings are Huffman-coded. */
export interface Field {
  name: string;
  value: string;
  indexing: "added" | "plain" | "never";
  nameIndex: number;
  nameHuffman: boolean;
  valueHuffman: boolean;
}

const CODES = huffmanCodes();

/** Appendix B as text of bits: of each length in turn, codes count up in the order of their bytes. */
function huffmanCodes(): string[] {
  const codes: string[] = [];
  let code = 0n;
  for (let bits = 1; bits <= 30; bits++) {
    code *= 2n;
    CODE_BITS.forEach((length, byte) => {
      if (length !== bits) return;
      codes[byte] = code.toString(2).padStart(bits, "0");
      code += 1n;
    });
  }
  return codes;
}

export function huffman(text: string): Buffer {
  const bits = [...Buffer.from(text, "latin1")].map((byte) => CODES[byte]).join("");
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Buffer.from((padded.match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2)));
}

export function integer(pattern: number, prefixBits: number, value: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.of(pattern | value);
  const bytes = [pattern | most];
  let rest = value - most;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.of(...bytes, rest);
}

export function string(text: string, isHuffman: boolean): Buffer {
  const bytes = isHuffman ? huffman(text) : Buffer.from(text, "latin1");
  return Buffer.concat([integer(isHuffman ? 0x80 : 0, 7, bytes.length), bytes]);
}

export function literal(field: Field): Buffer {
  const { indexing, nameIndex } = field;
  const head =
    indexing === "added" ? integer(0x40, 6, nameIndex) : integer(indexing === "never" ? 0x10 : 0, 4, nameIndex);
  const name = nameIndex === 0 ? string(field.name, field.nameHuffman) : Buffer.alloc(0);
  return Buffer.concat([head, name, string(field.value, field.valueHuffman)]);
}

/** A literal with everything that its name and value leave open chosen at random. */
export function anyLiteral(name: string, value: fc.Arbitrary<string>, staticIndex = 0): fc.Arbitrary<Field> {
  return fc.record({
    name: fc.constant(name),
    value,
    indexing: fc.constantFrom("added" as const, "plain" as const, "never" as const),
    nameIndex: fc.constantFrom(0, staticIndex),
    nameHuffman: fc.boolean(),
    valueHuffman: fc.boolean(),
  });
}

/** Text of any bytes: each character is one, 0 to 255. */
export const latin1 = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes).toString("latin1"));

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}
