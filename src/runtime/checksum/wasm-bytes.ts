/**
 * The few pieces of WebAssembly's binary format that our own modules need (WebAssembly core specification, chapter 5).
 * Code is arrays of bytes that are concatenated.
 */
export type Code = readonly number[];

export const I32 = 0x7f;
export const I64 = 0x7e;

/** LEB128, unsigned. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return bytes;
}

/** LEB128, signed: the operand of the const instructions. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = ((rest % 128) + 128) % 128;
    rest = (rest - low) / 128;
    const done = (rest === 0 && low < 64) || (rest === -1 && low >= 64);
    bytes.push(done ? low : low + 128);
    if (done) return bytes;
  }
}

/** LEB128, signed, of all 64 bits: for constants that a number does not hold exactly. */
function signed64(value: bigint): number[] {
  const low = Number(BigInt.asUintN(7, value));
  const rest = value >> 7n;
  return rest === (low >= 64 ? -1n : 0n) ? [low] : [low + 128, ...signed64(rest)];
}

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number): Code => [0x21, ...unsigned(local)];
export const i32 = (value: number): Code => [0x41, ...signed(value)];
export const i64 = (value: number): Code => [0x42, ...signed(value)];
export const i64Big = (value: bigint): Code => [0x42, ...signed64(BigInt.asIntN(64, value))];
/** `position` in the module's list of functions. */
export const call = (position: number): Code => [0x10, ...unsigned(position)];

const memory = (opcode: number, offset: number): Code => [opcode, 0, ...unsigned(offset)];
export const i32Load = (offset: number): Code => memory(0x28, offset);
export const i32Store = (offset: number): Code => memory(0x36, offset);
export const i64Load = (offset: number): Code => memory(0x29, offset);
export const i64Load8 = (offset: number): Code => memory(0x31, offset);
export const i64Load32 = (offset: number): Code => memory(0x35, offset);
/** 16 bytes, at any address. */
export const v128Load = (offset: number): Code => [0xfd, ...memory(0x00, offset)];
export const v128Store = (offset: number): Code => [0xfd, ...memory(0x0b, offset)];
export const V128_XOR: Code = [0xfd, 0x51];
export const i64Store = (offset: number): Code => memory(0x37, offset);

export const I32_ADD: Code = [0x6a];
export const I32_SUB: Code = [0x6b];
export const I32_AND: Code = [0x71];
export const I32_OR: Code = [0x72];
export const I32_XOR: Code = [0x73];
export const I32_ROTL: Code = [0x77];
export const I32_EQZ: Code = [0x45];
export const I32_GE_U: Code = [0x4f];
export const I32_LT_U: Code = [0x49];
export const I64_EQZ: Code = [0x50];
export const I64_EQ: Code = [0x51];
export const I64_ADD: Code = [0x7c];
export const I64_MUL: Code = [0x7e];
export const I64_AND: Code = [0x83];
export const I64_OR: Code = [0x84];
export const I64_XOR: Code = [0x85];
export const I64_SHL: Code = [0x86];
export const I64_SHR_U: Code = [0x88];
export const I64_ROTL: Code = [0x89];
export const I64_SUB: Code = [0x7d];
export const I64_EXTEND: Code = [0xad];
export const I32_WRAP: Code = [0xa7];

/** `while (condition) body`. */
export const whileLoop = (condition: Code, body: Code): Code => [
  ...[0x02, 0x40, 0x03, 0x40],
  ...condition,
  ...[0x45, 0x0d, 0x01],
  ...body,
  ...[0x0c, 0x00, 0x0b, 0x0b],
];

/** `if (condition) yes else no`. */
export const ifElse = (condition: Code, yes: Code, no: Code): Code => [
  ...condition,
  ...[0x04, 0x40],
  ...yes,
  0x05,
  ...no,
  0x0b,
];

export interface WasmFunction {
  name: string;
  parameters: readonly number[];
  results: readonly number[];
  locals: readonly number[];
  body: Code;
}

const vector = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, content: Code): number[] => [id, ...unsigned(content.length), ...content];
const text = (name: string): number[] => [...unsigned(name.length), ...Buffer.from(name, "latin1")];

/**
 * A module that exports every function by its name. `pages`: it exports a memory of so many x 64 KiB as "memory";
 * "imported": it works on the one that is given to it as `env.memory`; `shared`: on a shared one, of just so many pages.
 */
export function wasmModule(
  pages: number | "imported" | { shared: number },
  functions: readonly WasmFunction[],
): Buffer {
  const own = typeof pages === "number" ? pages : undefined;
  const limits =
    typeof pages === "object" ? [0x03, ...unsigned(pages.shared), ...unsigned(pages.shared)] : [0x00, ...unsigned(1)];
  const types = functions.map((f) => [
    0x60,
    ...vector(f.parameters.map((t) => [t])),
    ...vector(f.results.map((t) => [t])),
  ]);
  const bodies = functions.map((f) => {
    const code = [...vector(f.locals.map((t) => [1, t])), ...f.body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  const exported = functions.map((f, i) => [...text(f.name), 0x00, ...unsigned(i)]);
  return Buffer.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(types)),
    ...(own === undefined ? section(2, vector([[...text("env"), ...text("memory"), 0x02, ...limits]])) : []),
    ...section(3, vector(functions.map((_f, i) => unsigned(i)))),
    ...(own === undefined ? [] : section(5, vector([[0x01, ...unsigned(own), ...unsigned(own)]]))),
    ...section(7, vector(own === undefined ? exported : [[...text("memory"), 0x02, 0x00], ...exported])),
    ...section(10, vector(bodies)),
  ]);
}
