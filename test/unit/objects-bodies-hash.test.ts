import fc from "fast-check";
import { describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import { HashedMemory } from "../../src/engines/local/objects/bodies/hashed-memory.js";

const P1 = 0x9e3779b185ebca87n;
const P3 = 0x165667b19e3779f9n;
const OUT = 512 * 1024;

const reference = await xxhash();
const memory = new HashedMemory(OUT + 64);

const seedOf = (id: number, index: number) => BigInt.asUintN(64, (BigInt(id) * P1) ^ ((BigInt(index) + 1n) * P3));

describe("the hash of chunks", () => {
  it("any bytes, id, index and address: XXH64 with the seed of id and index, as another implementation has it", () => {
    const id = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const index = fc.integer({ min: 0, max: 0xffff_ffff });
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 130 }), fc.uint8Array({ maxLength: 3000, size: "max" }));
    fc.assert(
      fc.property(bytes, id, index, fc.integer({ min: 0, max: 9 }), (given, bodyId, chunk, at) => {
        memory.view(at, given.length).set(given);
        memory.seal(at, given.length, bodyId, chunk, OUT + at);
        const hash = memory.view(OUT + at, 8).readBigUInt64LE(0);
        expect(hash).toBe(reference.h64Raw(given, seedOf(bodyId, chunk)));
        expect(memory.check(at, given.length, bodyId, chunk, OUT + at)).toBe(true);
      }),
    );
  });

  it("another id, another index, another length, another byte: not the same hash", () => {
    memory.view(0, 1000).fill(7);
    memory.seal(0, 1000, 2 ** 40 + 5, 3, OUT);
    expect(memory.check(0, 1000, 2 ** 40 + 5, 3, OUT)).toBe(true);
    expect(memory.check(0, 1000, 2 ** 41 + 5, 3, OUT)).toBe(false);
    expect(memory.check(0, 1000, 2 ** 40 + 6, 3, OUT)).toBe(false);
    expect(memory.check(0, 1000, 2 ** 40 + 5, 4, OUT)).toBe(false);
    expect(memory.check(0, 999, 2 ** 40 + 5, 3, OUT)).toBe(false);
    memory.view(999, 1)[0] = 6;
    expect(memory.check(0, 1000, 2 ** 40 + 5, 3, OUT)).toBe(false);
  });
});
