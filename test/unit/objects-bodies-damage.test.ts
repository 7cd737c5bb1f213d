import { appendFileSync, copyFileSync, readFileSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CHUNK_BYTES,
  FRAME_BYTES,
  fileBytes,
  frameAt,
  HEADER_BYTES,
} from "../../src/engines/local/objects/bodies/format.js";
import type { StoredBody } from "../../src/engines/local/objects/bodies/types.js";
import { endWorld, makeWorld, PACES, pattern, type World } from "./bodies-world.js";

// A large block holds eight chunks: this body has two blocks, and a short chunk at its end.
const SIZE = 10 * CHUNK_BYTES + 1000;

let world: World;
let body: StoredBody;
let other: StoredBody;
let intact: Buffer;
const bytes = pattern(SIZE);

/** What a read gives of a body whose file is changed so; every chunk that comes must be right. */
async function readDamaged(change: (file: Buffer) => Buffer): Promise<{ given: number; error: unknown }> {
  writeFileSync(world.pathOf(body), change(Buffer.from(intact)));
  let given = 0;
  const open = world.store.open(body);
  try {
    for await (const piece of open.read(0, SIZE)) {
      expect(piece.equals(bytes.subarray(given, given + piece.length))).toBe(true);
      given += piece.length;
    }
    return { given, error: undefined };
  } catch (error) {
    return { given, error };
  } finally {
    open.close();
    writeFileSync(world.pathOf(body), intact);
  }
}

const damagedLike = (text: RegExp) =>
  expect.objectContaining({ reason: "damaged", message: expect.stringMatching(text) });

describe.each(PACES)("a body's file, $pace", ({ options }) => {
  beforeAll(async () => {
    world = await makeWorld(options);
    body = await world.put(bytes);
    other = await world.put(bytes);
    intact = readFileSync(world.pathOf(body));
  });
  afterAll(() => endWorld(world));

  it("is a header, and each chunk with its trailer", () => {
    expect(intact.length).toBe(fileBytes(SIZE));
    expect(intact.subarray(0, 8).toString()).toBe("GRANBODY");
    const second = frameAt(1);
    expect(intact.subarray(second, second + CHUNK_BYTES).equals(bytes.subarray(CHUNK_BYTES, 2 * CHUNK_BYTES))).toBe(
      true,
    );
  });

  it("one flipped bit anywhere in the header: damaged, and nothing is given", async () => {
    for (let at = 0; at < HEADER_BYTES; at++) {
      const { given, error } = await readDamaged((file) => flip(file, at, at % 8));
      expect(error, `byte ${at}`).toEqual(damagedLike(/header/));
      expect(given).toBe(0);
    }
  });

  it("one flipped bit in any byte of a trailer: damaged", async () => {
    for (let at = 0; at < 16; at++) {
      const { error } = await readDamaged((file) => flip(file, frameAt(3) - 16 + at, (at * 3) % 8));
      expect(error, `byte ${at}`).toEqual(damagedLike(/chunk 2 is not what was written/));
    }
  });

  it.each([
    ["the first byte of the first chunk", frameAt(0), 0],
    ["the last byte of the first chunk", frameAt(0) + CHUNK_BYTES - 1, 0],
    ["a middle byte of the second block", frameAt(9) + 31_000, 9],
    ["the first byte of the last, short chunk", frameAt(10), 10],
    ["the last byte of the last, short chunk", frameAt(10) + 999, 10],
  ])("each bit flipped in %s: damaged", async (_where, at, chunk) => {
    for (let bit = 0; bit < 8; bit++) {
      const { given, error } = await readDamaged((file) => flip(file, at, bit));
      expect(error).toEqual(damagedLike(new RegExp(`chunk ${chunk} is not`)));
      expect(given).toBeLessThanOrEqual(chunk * CHUNK_BYTES);
    }
  });

  it("two of its chunks swapped: damaged", async () => {
    const { error } = await readDamaged((file) => {
      intact.copy(file, frameAt(1), frameAt(2), frameAt(2) + FRAME_BYTES);
      intact.copy(file, frameAt(2), frameAt(1), frameAt(1) + FRAME_BYTES);
      return file;
    });
    expect(error).toEqual(damagedLike(/chunk 1 /));
  });

  it("a chunk of another body with the same bytes in its place: damaged", async () => {
    const theirs = readFileSync(world.pathOf(other));
    const { error } = await readDamaged((file) => {
      theirs.copy(file, frameAt(4), frameAt(4), frameAt(4) + FRAME_BYTES);
      return file;
    });
    expect(error).toEqual(damagedLike(/chunk 4 /));
  });

  it("another body's whole file in its place: damaged, also where a range skips the header", async () => {
    copyFileSync(world.pathOf(other), world.pathOf(body));
    await expect(world.get(body)).rejects.toEqual(damagedLike(/header/));
    await expect(world.get(body, 5 * CHUNK_BYTES, 10)).rejects.toEqual(damagedLike(/chunk 5 /));
    writeFileSync(world.pathOf(body), intact);
  });

  it.each([
    0,
    1,
    HEADER_BYTES - 1,
    HEADER_BYTES,
    HEADER_BYTES + 1,
    frameAt(1) - 16,
    frameAt(1),
    frameAt(8),
    frameAt(10),
    frameAt(10) + 999,
    fileBytes(SIZE) - 16,
    fileBytes(SIZE) - 1,
  ])("cut to %i bytes: damaged", async (length) => {
    truncateSync(world.pathOf(body), length);
    await expect(world.get(body)).rejects.toEqual(damagedLike(/too short/));
    writeFileSync(world.pathOf(body), intact);
  });

  it("bytes behind its end: read as it was", async () => {
    appendFileSync(world.pathOf(body), "more");
    expect((await world.get(body)).equals(bytes)).toBe(true);
    writeFileSync(world.pathOf(body), intact);
  });

  it("a hole in place of a chunk: damaged", async () => {
    const { error } = await readDamaged((file) => file.fill(0, frameAt(6), frameAt(7)));
    expect(error).toEqual(damagedLike(/chunk 6 /));
  });

  it("gone: damaged, and each finding is told", async () => {
    world.problems.length = 0;
    unlinkSync(world.pathOf(body));
    await expect(world.get(body)).rejects.toEqual(damagedLike(/missing/));
    expect(world.problems).toEqual([expect.stringMatching(/missing/)]);
    writeFileSync(world.pathOf(body), intact);
  });

  it("damage outside of a range: the range is right", async () => {
    writeFileSync(world.pathOf(body), flip(Buffer.from(intact), frameAt(7), 0));
    const range = await world.get(body, CHUNK_BYTES, 5 * CHUNK_BYTES);
    expect(range.equals(bytes.subarray(CHUNK_BYTES, 6 * CHUNK_BYTES))).toBe(true);
    writeFileSync(world.pathOf(body), intact);
  });

  it("after all of that: no memory is held", () => {
    expect(world.pool.taken).toBe(0);
  });
});

function flip(file: Buffer, at: number, bit: number): Buffer {
  file[at] = (file[at] as number) ^ (1 << bit);
  return file;
}
