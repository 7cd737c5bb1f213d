/**
 * XXH64 (Yann Collet's xxHash, doc/xxhash_spec.md) as a WebAssembly module of our own: the packaged ones copy their input
 * into a memory of theirs first, and this one hashes in the memory that files are read into.
 *
 * It imports `env.memory`. All arguments are i32 (a BigInt of 64 bits would be allocated at each call):
 * `seal(at, length, idHigh, idLow, index, out)` stores the hash, little endian, at `out`;
 * `check(at, length, idHigh, idLow, index, expected)` answers 1 when the 8 bytes at `expected` are the hash, else 0.
 * The seed is made of id and index, so that equal bytes in another place have another hash.
 */
import {
  type Code,
  call,
  get,
  I32,
  I32_ADD,
  I32_GE_U,
  I32_SUB,
  I64,
  I64_ADD,
  I64_EQ,
  I64_EXTEND,
  I64_MUL,
  I64_OR,
  I64_ROTL,
  I64_SHL,
  I64_SHR_U,
  I64_SUB,
  I64_XOR,
  i32,
  i64,
  i64Big,
  i64Load,
  i64Load8,
  i64Load32,
  i64Store,
  ifElse,
  set,
  wasmModule,
  whileLoop,
} from "../../../../runtime/checksum/wasm-bytes.js";

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const seq = (...parts: readonly Code[]): Code => parts.flat();
const times = (factor: bigint): Code => seq(i64Big(factor), I64_MUL);
const plus = (term: bigint): Code => seq(i64Big(term), I64_ADD);
const rotated = (bits: number): Code => seq(i64(bits), I64_ROTL);

/** rotl(acc + lane * P2, 31) * P1 */
const round = (acc: Code, lane: Code): Code => seq(acc, lane, times(P2), I64_ADD, rotated(31), times(P1));

/** While local `left` is `bytes` at least: `body`, then `at` and `left` move on by so many. */
const whileLeft = (bytes: number, at: number, left: number, body: Code): Code =>
  whileLoop(
    seq(get(left), i32(bytes), I32_GE_U),
    seq(body, get(at), i32(bytes), I32_ADD, set(at), get(left), i32(bytes), I32_SUB, set(left)),
  );

/** The specification's steps, on (at i32, length i32, seed i64), with the locals after them. */
function hashBody(): Code {
  const [at, length, seed, left, h, v1, v2, v3, v4] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
  const lanes = [v1, v2, v3, v4];
  const striped = seq(
    seq(get(seed), plus(P1 + P2), set(v1), get(seed), plus(P2), set(v2)),
    seq(get(seed), set(v3), get(seed), i64Big(P1), I64_SUB, set(v4)),
    whileLeft(32, at, left, seq(...lanes.map((v, i) => seq(round(get(v), seq(get(at), i64Load(8 * i))), set(v))))),
    seq(get(v1), rotated(1), get(v2), rotated(7), I64_ADD, get(v3), rotated(12), I64_ADD),
    seq(get(v4), rotated(18), I64_ADD, set(h)),
    ...lanes.map((v) => seq(get(h), round(i64(0), get(v)), I64_XOR, times(P1), plus(P4), set(h))),
  );
  const eight = seq(round(i64(0), seq(get(at), i64Load(0))), I64_XOR, rotated(27), times(P1), plus(P4));
  const four = seq(get(at), i64Load32(0), times(P1), I64_XOR, rotated(23), times(P2), plus(P3));
  const one = seq(get(at), i64Load8(0), times(P5), I64_XOR, rotated(11), times(P1));
  const step = (bytes: number, mixed: Code) => whileLeft(bytes, at, left, seq(get(h), mixed, set(h)));
  const avalanche = (bits: number): Code => seq(get(h), get(h), i64(bits), I64_SHR_U, I64_XOR);
  return seq(
    seq(get(length), set(left)),
    ifElse(seq(get(length), i32(32), I32_GE_U), striped, seq(get(seed), plus(P5), set(h))),
    seq(get(h), get(length), I64_EXTEND, I64_ADD, set(h)),
    seq(step(8, eight), step(4, four), step(1, one)),
    seq(avalanche(33), times(P2), set(h), avalanche(29), times(P3), set(h), avalanche(32)),
  );
}

/** The hash of (at, length) = locals 0 and 1, seeded by id = locals 2 and 3 and index = local 4. */
const SEEDED: Code = seq(
  seq(get(0), get(1)),
  seq(get(2), I64_EXTEND, i64(32), I64_SHL, get(3), I64_EXTEND, I64_OR, times(P1)),
  seq(get(4), I64_EXTEND, plus(1n), times(P3), I64_XOR),
  call(0),
);

/** The module's bytes. */
export function xxh64Module(): Buffer {
  const six = [I32, I32, I32, I32, I32, I32];
  return wasmModule("imported", [
    {
      name: "hash",
      parameters: [I32, I32, I64],
      results: [I64],
      locals: [I32, I64, I64, I64, I64, I64],
      body: hashBody(),
    },
    { name: "seal", parameters: six, results: [], locals: [], body: seq(get(5), SEEDED, i64Store(0)) },
    { name: "check", parameters: six, results: [I32], locals: [], body: seq(SEEDED, get(5), i64Load(0), I64_EQ) },
  ]);
}
