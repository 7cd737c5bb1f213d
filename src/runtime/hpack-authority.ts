import { decodeHuffman } from "./hpack-huffman.js";

/** What an empty authority becomes: the name that gRPC's own libraries send for a unix socket. */
const LOCALHOST = Buffer.from("localhost", "latin1");
const NAME = Buffer.from(":authority", "latin1");
/** RFC 7541 Appendix A: the static table's entry for `:authority`, with an empty value. */
const STATIC_AUTHORITY = 1;

// RFC 3986 section 3.2: unreserved, sub-delims, "%" of an escape, and what parts userinfo, host and port.
const ALLOWED = new Set(
  Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=%:@[]", "latin1"),
);
const SUBSTITUTE = "-".charCodeAt(0);

/**
 * Makes a header block's `:authority` one that an HTTP/2 server takes: a byte that no authority may hold becomes `-`,
 * an empty value becomes `localhost`. The rest of the block stays byte for byte.
 *
 * The value keeps its decoded length and its way of indexing, so an entry of the dynamic table has the size that the
 * client counts with (RFC 7541 section 4.1), and later references find the repaired value. For that reason an empty
 * value that is added to the table is left alone; an encoder has no cause to add it, it is static entry 1. A name given
 * by an index into the dynamic table is left alone too: `:authority` has one in the static table.
 *
 * @param block a whole header block, RFC 7541 section 6
 * @returns the repaired block, or null when there is nothing to repair or the block is malformed
 */
export function repairAuthority(block: Buffer): Buffer | null {
  const edits: Edit[] = [];
  const reader = new BlockReader(block);
  while (!reader.atEnd) {
    const edit = readField(reader);
    if (edit) edits.push(edit);
  }
  if (reader.malformed || edits.length === 0) return null;
  const parts: Buffer[] = [];
  let from = 0;
  for (const { start, end, bytes } of edits) {
    parts.push(block.subarray(from, start), bytes);
    from = end;
  }
  parts.push(block.subarray(from));
  return Buffer.concat(parts);
}

/** `bytes` takes the place of the block's bytes from `start` to before `end`. */
interface Edit {
  start: number;
  end: number;
  bytes: Buffer;
}

/** Reads one representation. The patterns are RFC 7541 section 6's. */
function readField(reader: BlockReader): Edit | null {
  const start = reader.at;
  const first = reader.peek();
  if (first >= 0b1000_0000) {
    if (reader.integer(7) !== STATIC_AUTHORITY) return null;
    return { start, end: reader.at, bytes: Buffer.concat([Buffer.of(STATIC_AUTHORITY), rawString(LOCALHOST)]) };
  }
  if (first >= 0b0010_0000 && first < 0b0100_0000) {
    reader.integer(5);
    return null;
  }
  const isAdded = first >= 0b0100_0000;
  const index = reader.integer(isAdded ? 6 : 4);
  const isAuthority = index === 0 ? isAuthorityName(reader.string()) : index === STATIC_AUTHORITY;
  const valueStart = reader.at;
  const value = reader.string();
  if (!isAuthority) return null;
  const repaired = repairValue(decoded(value), isAdded);
  return repaired && { start: valueStart, end: reader.at, bytes: rawString(repaired) };
}

/** Null when the value can stay, or could not be decoded. */
function repairValue(value: Buffer | null, isAdded: boolean): Buffer | null {
  if (!value) return null;
  if (value.length === 0) return isAdded ? null : LOCALHOST;
  if (value.every((byte) => ALLOWED.has(byte))) return null;
  return Buffer.from(value.map((byte) => (ALLOWED.has(byte) ? byte : SUBSTITUTE)));
}

interface CodedString {
  isHuffman: boolean;
  bytes: Buffer;
}

function decoded({ isHuffman, bytes }: CodedString): Buffer | null {
  return isHuffman ? decodeHuffman(bytes) : bytes;
}

function isAuthorityName(name: CodedString): boolean {
  // The code of a name of lower case letters is no longer than the name; longer ones need no decoding.
  return name.bytes.length <= NAME.length && decoded(name)?.equals(NAME) === true;
}

/** A string literal that is not Huffman-coded, RFC 7541 section 5.2. */
function rawString(bytes: Buffer): Buffer {
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

/** RFC 7541 section 5.1, with zeros before the prefix. */
function integer(value: number, prefixBits: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.of(value);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  return Buffer.of(...bytes, rest);
}

/** A cursor over a header block. What does not fit marks it as malformed and moves it to the end. */
class BlockReader {
  at = 0;
  malformed = false;
  readonly #block: Buffer;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get atEnd(): boolean {
    return this.at >= this.#block.length;
  }

  peek(): number {
    return this.#block[this.at] ?? 0;
  }

  /** RFC 7541 section 5.1: the value in the low bits of the next byte, and in the bytes after it when these are all ones. */
  integer(prefixBits: number): number {
    const most = 2 ** prefixBits - 1;
    let value = this.peek() & most;
    this.at++;
    if (value < most) return value;
    // Four more bytes count to 256 Mi, far more than a block holds.
    for (let factor = 1; factor < 2 ** 28; factor *= 128) {
      const byte = this.#block[this.at++];
      if (byte === undefined) break;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    return this.#fail();
  }

  string(): CodedString {
    const isHuffman = (this.peek() & 0b1000_0000) !== 0;
    if (this.atEnd) this.#fail();
    const length = this.integer(7);
    const bytes = this.#block.subarray(this.at, this.at + length);
    this.at += length;
    if (this.at > this.#block.length) this.#fail();
    return { isHuffman, bytes };
  }

  #fail(): number {
    this.malformed = true;
    this.at = this.#block.length;
    return 0;
  }
}
