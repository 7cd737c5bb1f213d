import {
  CRC32_TABLES_AT,
  CRC64_TABLES_AT,
  type CrcExports,
  crcModule,
  foldedBytes,
  INPUT_AT,
  INPUT_BYTES,
  SLICES,
} from "./crc-module.js";

/** A reflected CRC that starts at all ones and is inverted at its end: `polynomial` with its highest power left out, x^0 on top. */
interface CrcKind {
  readonly bits: 32 | 64;
  readonly polynomial: bigint;
}

export const CRC32: CrcKind = { bits: 32, polynomial: 0xedb88320n };
/** Castagnoli's, RFC 3720. */
export const CRC32C: CrcKind = { bits: 32, polynomial: 0x82f63b78n };
/** NVM Express NVM Command Set specification 1.0, section 5.2.1.3.4. */
export const CRC64NVME: CrcKind = { bits: 64, polynomial: 0x9a6c9329ac4bc9b5n };

interface Machine {
  exports: CrcExports;
  state: Uint32Array;
  input: Uint8Array;
}

let made: Machine | undefined;

/** One a thread, made when first asked for: WebAssembly's memory is not shared, and its tables take a few milliseconds. */
function machine(): Machine {
  if (made) return made;
  // lib.es2023 knows no WebAssembly; Node does.
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: {
      Module: new (bytes: Buffer) => object;
      Instance: new (module: object) => { exports: CrcExports };
    };
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(crcModule()));
  const { buffer } = exports.memory;
  new BigUint64Array(buffer, CRC64_TABLES_AT, SLICES * 256).set(tables(CRC64NVME));
  new Uint32Array(buffer, CRC32_TABLES_AT, SLICES * 256).set(tables(CRC32C).map(Number));
  made = { exports, state: new Uint32Array(buffer, 0, 2), input: new Uint8Array(buffer, INPUT_AT, INPUT_BYTES) };
  return made;
}

function tables({ polynomial }: CrcKind): bigint[] {
  const all: bigint[] = [];
  for (let byte = 0; byte < 256; byte++) {
    let remainder = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >> 1n) ^ ((remainder & 1n) * polynomial);
    all.push(remainder);
  }
  for (let i = 256; i < SLICES * 256; i++) {
    const before = all[i - 256] as bigint;
    all.push((before >> 8n) ^ (all[Number(before & 0xffn)] as bigint));
  }
  return all;
}

/** Folding pays from so many times what it leaves. */
const FOLD_FACTOR = 3;

/** Shortens the message at INPUT_AT, if it is long enough. @returns where it begins then */
function fold(bits: 32 | 64, length: number): number {
  const kept = foldedBytes(bits);
  if (length < FOLD_FACTOR * kept) return INPUT_AT;
  const { exports, state, input } = machine();
  const from = INPUT_AT + Math.floor((length - kept) / 16) * 16;
  // The remainder so far is added to the message's first bytes, which is where it would be added anyway.
  for (let i = 0; i < bits / 8; i++)
    input[i] = (input[i] as number) ^ (((state[i >> 2] as number) >>> (8 * (i & 3))) & 0xff);
  state[0] = 0;
  state[1] = 0;
  if (bits === 64) exports.fold64(from);
  else exports.fold32(from);
  return from;
}

/** A running CRC32C or CRC64NVME. The remainder is held as two halves, since a bigint a call costs more than a short call. */
export class RunningCrc {
  private low = 0xffffffff;
  private high: number;

  constructor(private readonly bits: 32 | 64) {
    this.high = bits === 64 ? 0xffffffff : 0;
  }

  update(bytes: Uint8Array): void {
    const { exports, state, input } = machine();
    state[0] = this.low;
    state[1] = this.high;
    for (let at = 0; at < bytes.length; at += INPUT_BYTES) {
      const piece = bytes.length <= INPUT_BYTES ? bytes : bytes.subarray(at, at + INPUT_BYTES);
      input.set(piece);
      const end = INPUT_AT + piece.length;
      const from = fold(this.bits, piece.length);
      if (this.bits === 64) exports.crc64(from, end);
      else exports.crc32(from, end);
    }
    this.low = state[0] as number;
    this.high = state[1] as number;
  }

  /** Big endian. */
  digest(): Buffer {
    const digest = Buffer.allocUnsafe(this.bits / 8);
    if (this.bits === 64) digest.writeUInt32BE(~this.high >>> 0, 0);
    digest.writeUInt32BE(~this.low >>> 0, this.bits / 8 - 4);
    return digest;
  }
}

/** x^(8 * 2^k) for k from 0, of each kind as far as it was needed. */
const powers = new Map<bigint, bigint[]>();

/**
 * The CRC of two runs of bytes, of which the first has `first` and the second, of `secondBytes`, has `second`: what came
 * before is multiplied by x for each bit that follows.
 */
export function combineCrc(kind: CrcKind, first: bigint, second: bigint, secondBytes: number): bigint {
  const { multiply } = machine().exports;
  const top = 1n << BigInt(kind.bits - 1);
  const times = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, multiply(a, b, kind.polynomial, top));
  const known = powers.get(kind.polynomial) ?? [top >> 8n];
  powers.set(kind.polynomial, known);
  let moved = first;
  let k = 0;
  for (let rest = secondBytes; rest > 0; rest = Math.floor(rest / 2), k++) {
    if (k === known.length) known.push(times(known[k - 1] as bigint, known[k - 1] as bigint));
    if (rest % 2 === 1) moved = times(moved, known[k] as bigint);
  }
  return moved ^ second;
}
