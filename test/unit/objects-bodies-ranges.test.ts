import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHUNK_BYTES } from "../../src/engines/local/objects/bodies/format.js";
import { endWorld, gather, makeWorld, PACES, pattern, sourceOf, type World } from "./bodies-world.js";

const BLOCK_BYTES = 8 * CHUNK_BYTES;
const signal = new AbortController().signal;

let world: World;

/** Offsets that lie on and beside every boundary of chunks and blocks of a body. */
function edges(sizeBytes: number): number[] {
  const found = new Set([0, 1, sizeBytes - 1, sizeBytes]);
  for (let at = 0; at <= sizeBytes; at += CHUNK_BYTES) for (const by of [-1, 0, 1]) found.add(at + by);
  return [...found].filter((at) => at >= 0 && at <= sizeBytes).sort((a, b) => a - b);
}

async function* cut(bytes: Buffer, lengths: readonly number[]) {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] as number;
    // The buffer is used again for the next piece, as the contract allows.
    const piece = Buffer.from(bytes.subarray(at, at + length));
    yield piece;
    piece.fill(0xee);
    at += length;
  }
}

describe.each(PACES)("a body's ranges, $pace", ({ options }) => {
  beforeAll(async () => {
    world = await makeWorld(options);
  });
  afterAll(() => endWorld(world));

  it("between all boundaries of chunks and blocks: the bytes", async () => {
    const bytes = pattern(BLOCK_BYTES + CHUNK_BYTES + 77);
    const body = await world.put(bytes);
    const open = world.store.open(body);
    const at = edges(bytes.length);
    for (const [i, from] of at.entries())
      for (const to of at.slice(i)) {
        const got = await gather(open.read(from, to - from));
        if (!got.equals(bytes.subarray(from, to))) expect.fail(`[${from}, ${to}) is not what was written`);
      }
    open.close();
  });

  it.each([0, 1, 100, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1])(
    "a body of %i bytes: comes back",
    async (length) => {
      const bytes = pattern(length);
      const body = await world.put(bytes);
      expect(body.sizeBytes).toBe(length);
      expect((await world.get(body)).equals(bytes)).toBe(true);
    },
  );

  it("a body of any length in pieces of any lengths, of declared length or not: any range of it is right", async () => {
    const most = 3 * BLOCK_BYTES;
    const whole = pattern(most, 99);
    const length = fc.integer({ min: 0, max: most });
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 200_000 }), fc.constant(CHUNK_BYTES)), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(length, lengths, fc.boolean(), fc.nat(), fc.nat(), async (size, pieces, declared, a, b) => {
        fc.pre(size / Math.max(...pieces) < 1000);
        const bytes = whole.subarray(0, size);
        const source = sourceOf(cut(bytes, pieces), declared ? size : undefined);
        const body = await world.store.write(source, { signal });
        const from = a % (size + 1);
        const take = b % (size - from + 1);
        expect((await world.get(body, from, take)).equals(bytes.subarray(from, from + take))).toBe(true);
        await world.store.discard(body.bodyId);
      }),
      { numRuns: 60 },
    );
  });

  it("beyond the end: out of range", async () => {
    const body = await world.put(pattern(1000));
    await expect(world.get(body, 500, 501)).rejects.toMatchObject({ code: "out-of-range" });
    await expect(world.get(body, -1, 5)).rejects.toMatchObject({ code: "out-of-range" });
  });

  it("reads that end early, and several of one body at once: no memory is held, the others go on", async () => {
    const bytes = pattern(4 * BLOCK_BYTES);
    const body = await world.put(bytes);
    const open = world.store.open(body);
    const reads = await Promise.all([
      gather(open.read(0, bytes.length)),
      (async () => {
        for await (const piece of open.read(10, 3 * BLOCK_BYTES)) return Buffer.from(piece);
        return Buffer.alloc(0);
      })(),
      gather(open.read(BLOCK_BYTES - 5, 10)),
    ]);
    open.close();
    open.close();
    expect(reads[0].equals(bytes)).toBe(true);
    expect(reads[1].equals(bytes.subarray(10, 10 + reads[1].length))).toBe(true);
    expect(reads[2].equals(bytes.subarray(BLOCK_BYTES - 5, BLOCK_BYTES + 5))).toBe(true);
    expect(world.pool.taken).toBe(0);
  });

  it("closed in the middle: the iteration ends in an error", async () => {
    const body = await world.put(pattern(4 * BLOCK_BYTES));
    const open = world.store.open(body);
    const reading = (async () => {
      for await (const _piece of open.read(0, body.sizeBytes)) open.close();
    })();
    await expect(reading).rejects.toMatchObject({ code: "cancelled" });
    expect(world.pool.taken).toBe(0);
  });
});
