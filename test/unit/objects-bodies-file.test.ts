import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BodyFile, DirectWrites } from "../../src/engines/local/objects/bodies/body-file.js";
import { HashedMemory } from "../../src/engines/local/objects/bodies/hashed-memory.js";
import { endWorld, makeWorld, pattern } from "./bodies-world.js";

const PAGE = 4096;
const BYTES = pattern(10 * PAGE + 100);

let dir: string;
let direct: DirectWrites;
let file: BodyFile;
const path = () => join(dir, "file");
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "granary-file-"));
  direct = new DirectWrites();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** The bytes at an address that is no multiple of what disks write: the kernel refuses to write them past its cache. */
function misaligned(): Buffer {
  const bytes = new HashedMemory(64 * 1024).view(1, BYTES.length);
  BYTES.copy(bytes);
  return bytes;
}

function aligned(): Buffer {
  const bytes = new HashedMemory(64 * 1024).view(0, BYTES.length);
  BYTES.copy(bytes);
  return bytes;
}

describe("a body's file", () => {
  it("whole pages past the page cache, the rest through it: the bytes, to the last", async () => {
    file = await BodyFile.create(path(), direct);
    const bytes = aligned();
    await file.write(bytes.subarray(0, 2 * PAGE), 0);
    await file.write(bytes.subarray(2 * PAGE), 2 * PAGE);
    await file.sync();
    // Not every file system of a temporary folder has such writes.
    expect(file.isDirect).toBe(direct.usable);
    file.close();
    expect(readFileSync(path()).equals(BYTES)).toBe(true);
  });

  it("less than a page, or nothing: the bytes", async () => {
    file = await BodyFile.create(path(), direct);
    await file.write(BYTES.subarray(0, 0), 0);
    await file.write(aligned().subarray(0, 100), 0);
    file.close();
    expect(readFileSync(path()).equals(BYTES.subarray(0, 100))).toBe(true);
  });

  it("the kernel refuses such a write: the bytes all the same, and no other file tries", async () => {
    file = await BodyFile.create(path(), direct);
    await file.write(aligned().subarray(0, 2 * PAGE), 0);
    const bytes = misaligned();
    await file.write(bytes.subarray(2 * PAGE, 5 * PAGE), 2 * PAGE);
    expect(file.isDirect).toBe(direct.usable);
    await file.write(bytes.subarray(5 * PAGE), 5 * PAGE);
    file.close();
    expect(readFileSync(path()).equals(BYTES)).toBe(true);
    const other = await BodyFile.create(join(dir, "other"), direct);
    expect(other.isDirect).toBe(direct.usable);
    other.close();
  });

  it("there already: the error, and it is not touched", async () => {
    (await BodyFile.create(path(), direct)).close();
    await expect(BodyFile.create(path(), direct)).rejects.toMatchObject({ code: "EEXIST" });
  });
});

describe("a large body", () => {
  it.each([1024 ** 2 - 1, 1024 ** 2, 8 * 65_536 * 3, 8 * 65_536 * 3 + 1, 5_000_000])(
    "%s bytes, its length declared: what was written, and no memory is held",
    async (length) => {
      const world = await makeWorld({ dir: join(dir, "bodies"), directBytes: 1024 ** 2 });
      const bytes = pattern(length, length);
      const body = await world.put(bytes);
      expect((await world.get(body)).equals(bytes)).toBe(true);
      expect(world.pool.taken).toBe(0);
      await endWorld(world);
    },
  );
});
