import {
  type Code,
  get,
  I32,
  I32_ADD,
  I32_AND,
  I32_EQZ,
  I32_OR,
  I32_ROTL,
  I32_SUB,
  I32_XOR,
  i32,
  i32Load,
  i32Store,
  set,
  type WasmFunction,
  wasmModule,
  whileLoop,
} from "./wasm-bytes.js";

export const MD5_BLOCK_BYTES = 64;
/** Four words, little endian; the digest is what they are at the end. */
export const MD5_STATE_BYTES = 16;
export const MD5_START = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;

/** The exports of `md5Module()`. Addresses are bytes from the memory's start; a state is brought forward where it lies. */
export interface Md5Exports {
  one(state: number, at: number, blocks: number): void;
  /** Of two streams the same count of blocks. */
  two(state: number, at: number, otherState: number, otherAt: number, blocks: number): void;
}

/**
 * MD5 (RFC 1321) of one stream, and of two at once. Each step needs the result of the one before, which keeps a processor
 * waiting most of the time: the steps of a second stream, in between, cost little.
 *
 * It imports `env.memory`, shared, of `pages` x 64 KiB.
 */
export function md5Module(pages: number): Buffer {
  return wasmModule({ shared: pages }, [rounds("one", 1), rounds("two", 2)]);
}

/** One of the streams: the locals that hold its state's address, where its next block lies, and the four words. */
interface Stream {
  state: number;
  at: number;
  words: readonly number[];
}

const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;

const wordOf = (step: number): number => {
  const [factor, offset] = (
    [
      [1, 0],
      [5, 1],
      [3, 5],
      [7, 0],
    ] as const
  )[step >> 4] as readonly [number, number];
  return (factor * (step & 15) + offset) & 15;
};
const constantOf = (step: number): number => Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32) | 0;

const seq = (...parts: readonly Code[]): Code => parts.flat();
const not = (local: number): Code => seq(get(local), i32(-1), I32_XOR);

/**
 * The round's function of b, c and d, added to what is on the stack. Written so that as little as can be waits for `b`,
 * which is the newest.
 */
function added(round: number, b: number, c: number, d: number): Code {
  switch (round) {
    case 0:
      return seq(get(c), get(d), I32_XOR, get(b), I32_AND, get(d), I32_XOR, I32_ADD);
    case 1:
      return seq(not(d), get(c), I32_AND, I32_ADD, get(b), get(d), I32_AND, I32_ADD);
    case 2:
      return seq(get(c), get(d), I32_XOR, get(b), I32_XOR, I32_ADD);
    default:
      return seq(not(d), get(b), I32_OR, get(c), I32_XOR, I32_ADD);
  }
}

function step(stream: Stream, i: number): Code {
  const word = (k: number): number => stream.words[(k + 64 - i) & 3] as number;
  const [a, b, c, d] = [word(0), word(1), word(2), word(3)];
  const round = i >> 4;
  return seq(
    seq(get(a), get(stream.at), i32Load(wordOf(i) * 4), I32_ADD, i32(constantOf(i)), I32_ADD),
    seq(added(round, b, c, d), i32(SHIFTS[round]?.[i & 3] as number), I32_ROTL, get(b), I32_ADD, set(a)),
  );
}

function rounds(name: string, count: number): WasmFunction {
  const blocks = count * 2;
  const streams = Array.from({ length: count }, (_, s): Stream => {
    const first = blocks + 1 + s * 4;
    return { state: s * 2, at: s * 2 + 1, words: [first, first + 1, first + 2, first + 3] };
  });
  const each = (code: (stream: Stream) => Code): Code => streams.flatMap(code);
  const everyWord = (code: (stream: Stream, local: number, offset: number) => Code): Code =>
    each((stream) => stream.words.flatMap((local, w) => code(stream, local, w * 4)));
  const steps = Array.from({ length: 64 }, (_, i) => each((stream) => step(stream, i))).flat();
  return {
    name,
    parameters: Array.from({ length: blocks + 1 }, () => I32),
    results: [],
    locals: Array.from({ length: count * 4 }, () => I32),
    body: seq(
      everyWord(({ state }, local, offset) => seq(get(state), i32Load(offset), set(local))),
      whileLoop(
        seq(get(blocks), I32_EQZ, I32_EQZ),
        seq(
          steps,
          // What the state was is still where it was stored: the memory is read in place of four more locals.
          everyWord(({ state }, local, offset) =>
            seq(get(local), get(state), i32Load(offset), I32_ADD, set(local), get(state), get(local), i32Store(offset)),
          ),
          each(({ at }) => seq(get(at), i32(MD5_BLOCK_BYTES), I32_ADD, set(at))),
          seq(get(blocks), i32(1), I32_SUB, set(blocks)),
        ),
      ),
    ),
  };
}
