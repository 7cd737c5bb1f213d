import {
  type Code,
  get,
  I32,
  I32_ADD,
  I32_EQZ,
  I32_GE_U,
  I32_LT_U,
  I32_SUB,
  I32_WRAP,
  I64,
  I64_AND,
  I64_EQZ,
  I64_EXTEND,
  I64_SHL,
  I64_SHR_U,
  I64_SUB,
  I64_XOR,
  i32,
  i64,
  i64Load,
  i64Load8,
  i64Load32,
  i64Store,
  set,
  V128_XOR,
  v128Load,
  v128Store,
  type WasmFunction,
  wasmModule,
  whileLoop,
} from "./wasm-bytes.js";

/** Where the running remainder lies: the caller puts it there before an update and takes it after. */
export const STATE_AT = 0;
/** Table k, of 256 entries, follows table k - 1: what a byte does to the remainder when k more bytes follow it. */
export const SLICES = 16;
export const CRC64_TABLES_AT = 0x1000;
export const CRC32_TABLES_AT = 0x9000;
/** Where the bytes to sum are put, at most this many at once. */
export const INPUT_AT = 0x10000;
export const INPUT_BYTES = 0x40000;
const PAGES = (INPUT_AT + INPUT_BYTES) / 0x10000;

/** The exports of `crcModule()`. */
export interface CrcExports {
  memory: { buffer: ArrayBuffer };
  /** Takes the bytes [at, end) into the remainder at STATE_AT. */
  crc64(at: number, end: number): void;
  crc32(at: number, end: number): void;
  /** See fold(): what lies from `from` on has the remainder then that all from INPUT_AT on had. */
  fold64(from: number): void;
  fold32(from: number): void;
  /** The product of two reflected polynomials modulo `polynomial`; `top` is the bit that stands for 1. */
  multiply(a: bigint, b: bigint, polynomial: bigint, top: bigint): bigint;
}

/**
 * Distances in words of 8 bytes: a word, and the same word at all of these distances behind it, are together a multiple of
 * the polynomial. So words may be taken out of a message where they are added again behind. Few of them, and none near,
 * were found by a search (a short codeword of the code that the remainders of x^64k span).
 */
export const FOLDS = {
  64: [138, 177, 225, 242, 358, 372, 396, 431, 468, 470],
  32: [154, 177, 183, 258, 290],
} as const;

/** What of a message is left by folding: the longest distance, in whole vectors. */
export const foldedBytes = (bits: 32 | 64): number => Math.ceil((FOLDS[bits].at(-1) as number) / 2) * 16;

/**
 * CRCs of reflected polynomials of 64 bits, and of 32 in the low half, 16 bytes a step ("slicing by 16").
 */
export function crcModule(): Buffer {
  return wasmModule(PAGES, [
    update("crc64", CRC64_TABLES_AT, 3, i64Load),
    update("crc32", CRC32_TABLES_AT, 2, i64Load32),
    fold("fold64", FOLDS[64], foldedBytes(64)),
    fold("fold32", FOLDS[32], foldedBytes(32)),
    multiply(),
  ]);
}

function update(name: string, tablesAt: number, entryShift: number, load: (offset: number) => Code): WasmFunction {
  const [at, end, crc, high] = [0, 1, 2, 3];
  const table = (k: number): number => tablesAt + k * (256 << entryShift);
  const mask = i64(255 << entryShift);
  /** The table entry of byte `k` of an i64 local, counted from its low end. */
  const entry = (local: number, k: number, slice: number): Code => {
    const shift = k * 8 - entryShift;
    const moved = shift < 0 ? [...i64(-shift), ...I64_SHL] : [...i64(shift), ...I64_SHR_U];
    return [...get(local), ...moved, ...mask, ...I64_AND, ...I32_WRAP, ...load(table(slice))];
  };
  const entries: Code[] = [];
  for (let k = 0; k < 8; k++) entries.push(entry(high, k, 7 - k), entry(crc, k, 15 - k));
  const sixteen: Code = [
    ...[...get(at), ...i64Load(0), ...get(crc), ...I64_XOR, ...set(crc)],
    ...[...get(at), ...i64Load(8), ...set(high)],
    ...entries.flatMap((code, i) => (i === 0 ? code : [...code, ...I64_XOR])),
    ...set(crc),
    ...[...get(at), ...i32(16), ...I32_ADD, ...set(at)],
  ];
  const one: Code = [
    ...[...get(at), ...i64Load8(0), ...get(crc), ...I64_XOR, ...set(high)],
    ...[...get(crc), ...i64(8), ...I64_SHR_U, ...entry(high, 0, 0), ...I64_XOR, ...set(crc)],
    ...[...get(at), ...i32(1), ...I32_ADD, ...set(at)],
  ];
  return {
    name,
    parameters: [I32, I32],
    results: [],
    locals: [I64, I64],
    body: [
      ...[...i32(0), ...i64Load(STATE_AT), ...set(crc)],
      ...whileLoop([...get(end), ...get(at), ...I32_SUB, ...i32(16), ...I32_GE_U], sixteen),
      ...whileLoop([...get(at), ...get(end), ...I32_LT_U], one),
      ...[...i32(0), ...get(crc), ...i64Store(STATE_AT)],
    ],
  };
}

/**
 * Takes the words from INPUT_AT to `from` out of the message, each added behind itself at the distances of `words`, 16
 * bytes a step and where they lie. `from` is a multiple of 16 behind INPUT_AT, and the last `kept` bytes before the
 * message's end, at least, lie behind it. What lies before INPUT_AT, as far as the longest distance, is zero.
 */
function fold(name: string, words: readonly number[], kept: number): WasmFunction {
  const [from, low] = [0, 1];
  const bytes = words.map((word) => word * 8);
  const move = (step: number): Code => [...get(low), ...i32(step), ...I32_ADD, ...set(low)];
  /** Each vector gets what was added to it before: `low` lies `kept` bytes before it, as offsets are not negative. */
  const pulled = (offset: number): Code => [
    ...[...get(low), ...get(low), ...v128Load(kept + offset)],
    ...bytes.flatMap((distance) => [...get(low), ...v128Load(kept + offset - distance), ...V128_XOR]),
    ...v128Store(kept + offset),
  ];
  /** What is left gets it from the words that were taken out alone: from behind `from` as far as each distance goes. */
  const pushed = (distance: number): Code => [
    ...[...get(from), ...i32(distance), ...I32_SUB, ...set(low)],
    ...whileLoop(
      [...get(from), ...get(low), ...I32_SUB, ...i32(16), ...I32_GE_U],
      [
        ...[...get(low), ...get(low), ...v128Load(distance), ...get(low), ...v128Load(0), ...V128_XOR],
        ...[...v128Store(distance), ...move(16)],
      ],
    ),
    ...(distance % 16 === 0
      ? []
      : [
          ...[...get(low), ...get(low), ...i64Load(distance), ...get(low), ...i64Load(0), ...I64_XOR],
          ...i64Store(distance),
        ]),
  ];
  return {
    name,
    parameters: [I32],
    results: [],
    locals: [I32],
    body: [
      ...[...i32(INPUT_AT - kept), ...set(low)],
      ...whileLoop(
        [...get(from), ...i32(kept), ...I32_SUB, ...get(low), ...I32_SUB, ...i32(64), ...I32_GE_U],
        [...[0, 16, 32, 48].flatMap(pulled), ...move(64)],
      ),
      ...whileLoop(
        [...get(from), ...i32(kept), ...I32_SUB, ...get(low), ...I32_SUB, ...i32(16), ...I32_GE_U],
        [...pulled(0), ...move(16)],
      ),
      ...bytes.flatMap(pushed),
    ],
  };
}

/** Schoolbook: for each power of x in `a`, from x^0 at `top` down, adds that multiple of `b`. */
function multiply(): WasmFunction {
  const [a, b, polynomial, top, product, bit] = [0, 1, 2, 3, 4, 5];
  /** -1 where the code leaves 1, 0 where it leaves 0. */
  const allOnesIf = (bit: Code): Code => [...i64(0), ...bit, ...I64_SUB];
  const step: Code = [
    // product ^= b where a has this bit
    ...get(product),
    ...allOnesIf([...get(a), ...get(bit), ...I64_AND, ...I64_EQZ, ...I32_EQZ, ...I64_EXTEND]),
    ...[...get(b), ...I64_AND, ...I64_XOR, ...set(product)],
    // b = b * x, reduced
    ...[...get(b), ...i64(1), ...I64_SHR_U],
    ...[...allOnesIf([...get(b), ...i64(1), ...I64_AND]), ...get(polynomial), ...I64_AND],
    ...[...I64_XOR, ...set(b)],
    ...[...get(bit), ...i64(1), ...I64_SHR_U, ...set(bit)],
  ];
  return {
    name: "multiply",
    parameters: [I64, I64, I64, I64],
    results: [I64],
    locals: [I64, I64],
    body: [...[...get(top), ...set(bit)], ...whileLoop([...get(bit), ...I64_EQZ, ...I32_EQZ], step), ...get(product)],
  };
}
