import { readdirSync, statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BlockPool } from "../../src/engines/local/objects/bodies/block-pool.js";
import { CHUNK_BYTES } from "../../src/engines/local/objects/bodies/format.js";
import { generationPath } from "../../src/engines/local/objects/bodies/generation-folders.js";
import { BODIES_PER_GENERATION, generationOf } from "../../src/engines/local/objects/bodies/types.js";
import { DIGEST, endWorld, makeWorld, pattern, sourceOf, type World } from "./bodies-world.js";

const BLOCK_BYTES = 8 * CHUNK_BYTES;
const free = () => new AbortController().signal;

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => endWorld(world));

async function* pieces(count: number, length = CHUNK_BYTES) {
  for (let i = 0; i < count; i++) yield pattern(length, i + 1);
}

async function nothingIsLeft() {
  await expect.poll(() => world.pool.taken).toBe(0);
  await expect.poll(() => world.files()).toEqual([]);
}

describe("write", () => {
  it("its files and folders: for nobody else to read", async () => {
    const body = await world.put(pattern(1000));
    expect(statSync(world.pathOf(body)).mode & 0o777).toBe(0o600);
    expect(statSync(generationPath(world.dir, generationOf(body.bodyId))).mode & 0o777).toBe(0o700);
  });

  it("a source that fails in the middle: its error, and nothing is left", async () => {
    async function* failing() {
      yield* pieces(20);
      throw new Error("the client is gone");
    }
    await expect(world.store.write(sourceOf(failing()), { signal: free() })).rejects.toThrow("the client is gone");
    await nothingIsLeft();
  });

  it("finish() refuses: its error, as it is, and nothing is left", async () => {
    const refusal = Object.assign(new Error("the digest is another"), { code: "BadDigest" });
    const source = { ...sourceOf(pieces(20)), finish: () => Promise.reject(refusal) };
    await expect(world.store.write(source, { signal: free() })).rejects.toBe(refusal);
    await nothingIsLeft();
  });

  it("finish(): called once, after the last byte, and what it says is answered", async () => {
    let asked = 0;
    const calls: number[] = [];
    async function* counted() {
      for await (const piece of pieces(20)) {
        asked++;
        yield piece;
      }
    }
    const finish = () => {
      calls.push(asked);
      return DIGEST;
    };
    const source = { ...sourceOf(counted()), finish };
    const body = await world.store.write(source, { signal: free() });
    expect(calls).toEqual([20]);
    expect(body.digest).toBe(DIGEST);
    expect(body.sizeBytes).toBe(20 * CHUNK_BYTES);
    await world.store.discard(body.bodyId);
  });

  it.each([
    ["fewer", 20 * CHUNK_BYTES + 1, /has 1310720 bytes; 1310721 were declared/],
    ["more", 20 * CHUNK_BYTES - 1, /more than the 1310719 bytes/],
  ])("%s bytes than declared: refused, and nothing is left", async (_what, declared, message) => {
    const written = world.store.write(sourceOf(pieces(20), declared), { signal: free() });
    await expect(written).rejects.toMatchObject({ code: "invalid-argument", message: expect.stringMatching(message) });
    await nothingIsLeft();
  });

  it.each([0, 1, 7, 8, 9, 25])(
    "aborted while the source stalls after %i chunks: ends at once, nothing is left",
    async (count) => {
      const abort = new AbortController();
      async function* stalling() {
        yield* pieces(count);
        setTimeout(() => abort.abort(), 5);
        await new Promise(() => undefined);
      }
      const written = world.store.write(sourceOf(stalling()), { signal: abort.signal });
      await expect(written).rejects.toMatchObject({ code: "cancelled" });
      await nothingIsLeft();
    },
  );

  it("aborted at random moments: each write is there whole or not at all", async () => {
    const kept: number[] = [];
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const abort = new AbortController();
        setTimeout(() => abort.abort(), i / 2);
        try {
          const body = await world.store.write(sourceOf(pieces(12)), { signal: abort.signal });
          world.store.keep(body.bodyId);
          expect((await world.get(body)).length).toBe(12 * CHUNK_BYTES);
          kept.push(body.bodyId);
        } catch (error) {
          expect(error).toMatchObject({ code: "cancelled" });
        }
      }),
    );
    await expect.poll(() => world.pool.taken).toBe(0);
    await expect.poll(() => world.files().length).toBe(kept.length);
  });

  it("aborted before it began: no slot is taken", async () => {
    await expect(world.store.write(sourceOf(pieces(1)), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "cancelled",
    });
    expect(readdirSync(world.dir)).toEqual([]);
  });

  it("discard: the file is gone; a second body has another name", async () => {
    const first = await world.store.write(sourceOf(pieces(1)), { signal: free() });
    await world.store.discard(first.bodyId);
    expect(world.files()).toEqual([]);
    const second = await world.put(pattern(5));
    expect(second.bodyId).not.toBe(first.bodyId);
  });
});

describe("generations", () => {
  it("closing: those in which all is settled are sealed", async () => {
    await world.put(pattern(10));
    const dropped = await world.store.write(sourceOf(pieces(1)), { signal: free() });
    await world.store.discard(dropped.bodyId);
    expect([...world.open]).toEqual([1]);
    await world.store.close();
    expect([...world.open]).toEqual([]);
  });

  it("a commit whose outcome is not known: the generation stays open for the sweep", async () => {
    await world.store.write(sourceOf(pieces(1)), { signal: free() });
    await world.store.close();
    expect([...world.open]).toEqual([1]);
  });

  it("full: the next is leased before, and the full one is sealed when its last body is settled", async () => {
    const late = await world.store.write(sourceOf(pieces(1)), { signal: free() });
    const small = pattern(1);
    for (let lanes = 0; lanes < 64; lanes++)
      await Promise.all(
        Array.from({ length: 65 }, async () => {
          const body = await world.store.write(sourceOf(small), { signal: free(), relaxed: true });
          world.store.keep(body.bodyId);
        }),
      );
    expect(64 * 65 + 1).toBeGreaterThan(BODIES_PER_GENERATION);
    expect([...world.open]).toEqual([1, 2]);
    expect(readdirSync(generationPath(world.dir, 1)).length).toBe(BODIES_PER_GENERATION);
    world.store.keep(late.bodyId);
    await expect.poll(() => [...world.open]).toEqual([2]);
  });

  it("folders of generations that metadata does not know yet: passed over", async () => {
    await world.put(pattern(10));
    await world.store.close();
    const again = await makeWorld({ dir: world.dir });
    const body = await again.put(pattern(20));
    expect(generationOf(body.bodyId)).toBe(2);
    // Its owner said that it is open, so the sweep will look at it.
    expect([...again.open]).toEqual([1, 2]);
    await again.store.close();
  });

  it("no lease is to be had: its error, and nothing is left", async () => {
    const lease = () => Promise.reject(new Error("no writer listens"));
    const other = await makeWorld({ dir: world.dir, generations: { lease, seal: async () => undefined } });
    await expect(other.put(pattern(10))).rejects.toThrow("no writer listens");
    expect(other.pool.taken).toBe(0);
    await other.store.close();
  });
});

describe("memory", () => {
  it("more bodies at once than there are blocks: all come through, in turn", async () => {
    const pool = new BlockPool({ largeBlocks: 2, smallBlocks: 2 });
    const small = await makeWorld({ pool });
    const bodies = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const body = await small.put(pattern(2 * BLOCK_BYTES + 5, i + 1));
        expect((await small.get(body)).equals(pattern(2 * BLOCK_BYTES + 5, i + 1))).toBe(true);
        return body;
      }),
    );
    expect(bodies.length).toBe(20);
    expect(pool.taken).toBe(0);
    await endWorld(small);
  });

  it("no block becomes free in time: busy, and nothing is left", async () => {
    const pool = new BlockPool({ largeBlocks: 0, smallBlocks: 1, waitMs: 20 });
    const small = await makeWorld({ pool });
    const held = pool.take(1);
    await expect(small.put(pattern(10))).rejects.toMatchObject({ reason: "busy" });
    pool.release(await held);
    expect((await small.put(pattern(10))).sizeBytes).toBe(10);
    expect(small.files().length).toBe(1);
    await endWorld(small);
  });
});
