/**
 * Appends fields to a buffer that grows. One is kept and used again by each encoder: what take() answers is a copy.
 * Numbers are big-endian and of fixed width; texts have their length before them.
 */
export class Encoder {
  #bytes = Buffer.allocUnsafe(4096);
  #end = 0;

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + bytes));
    grown.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = grown;
  }

  u8(value: number): this {
    this.#room(1);
    this.#bytes[this.#end++] = value;
    return this;
  }

  u16(value: number): this {
    this.#room(2);
    this.#end = this.#bytes.writeUInt16BE(value, this.#end);
    return this;
  }

  u32(value: number): this {
    this.#room(4);
    this.#end = this.#bytes.writeUInt32BE(value, this.#end);
    return this;
  }

  /** Up to 2^48 - 1: sizes (256 TiB) and times in milliseconds. */
  u48(value: number): this {
    this.#room(6);
    this.#end = this.#bytes.writeUIntBE(value, this.#end, 6);
    return this;
  }

  /** Eight bytes for any safe integer: sequences and ids. */
  u64(value: number): this {
    this.#room(8);
    writeU64(this.#bytes, value, this.#end);
    this.#end += 8;
    return this;
  }

  /** An XXH64. */
  check(value: bigint): this {
    this.#room(8);
    this.#end = this.#bytes.writeBigUInt64BE(value, this.#end);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#room(value.length);
    this.#bytes.set(value, this.#end);
    this.#end += value.length;
    return this;
  }

  /** Of at most 255 bytes of UTF-8. */
  short(value: string): this {
    return this.#text(value, 1);
  }

  text(value: string): this {
    return this.#text(value, 4);
  }

  #text(value: string, lengthBytes: 1 | 4): this {
    // A UTF-16 code unit has at most three bytes of UTF-8.
    this.#room(value.length * 3 + lengthBytes);
    const length = this.#bytes.write(value, this.#end + lengthBytes);
    if (lengthBytes === 1) {
      if (length > 255) throw new RangeError(`${length} bytes do not fit a short text`);
      this.#bytes[this.#end] = length;
    } else this.#bytes.writeUInt32BE(length, this.#end);
    this.#end += lengthBytes + length;
    return this;
  }

  /** A copy of what was appended, and begins anew. */
  take(): Buffer {
    const copy = Buffer.allocUnsafe(this.#end);
    copy.set(this.#bytes.subarray(0, this.#end));
    this.#end = 0;
    return copy;
  }

  /** Begins anew, after an encoding that threw. */
  reset(): this {
    this.#end = 0;
    return this;
  }
}

/** Reads what an Encoder wrote. Everything that it answers is a copy. */
export class Decoder {
  #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  u8(): number {
    return this.#bytes[this.at++] ?? 0;
  }

  u16(): number {
    this.at += 2;
    return this.#bytes.readUInt16BE(this.at - 2);
  }

  u32(): number {
    this.at += 4;
    return this.#bytes.readUInt32BE(this.at - 4);
  }

  u48(): number {
    this.at += 6;
    return this.#bytes.readUIntBE(this.at - 6, 6);
  }

  u64(): number {
    this.at += 8;
    return readU64(this.#bytes, this.at - 8);
  }

  check(): bigint {
    this.at += 8;
    return this.#bytes.readBigUInt64BE(this.at - 8);
  }

  hex(bytes: number): string {
    this.at += bytes;
    return this.#bytes.toString("hex", this.at - bytes, this.at);
  }

  bytes(length: number): Buffer {
    this.at += length;
    return Buffer.from(this.#bytes.subarray(this.at - length, this.at));
  }

  short(): string {
    return this.#utf8(this.u8());
  }

  text(): string {
    return this.#utf8(this.u32());
  }

  #utf8(length: number): string {
    this.at += length;
    return length === 0 ? "" : this.#bytes.toString("utf8", this.at - length, this.at);
  }
}

const TWO_32 = 2 ** 32;

export function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_32), at);
  target.writeUInt32BE(value % TWO_32, at + 4);
}

export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4);
}
