import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endWorld, makeWorld, pattern, sourceOf, type World } from "../unit/bodies-world.js";
import { makeSandbox, removeSandbox, type Sandbox } from "./server-harness.js";
import { makeDisk, makeRamDisk } from "./small-disk.js";

const MIB = 1024 ** 2;
const free = () => new AbortController().signal;

let sandbox: Sandbox;
let world: World | undefined;
beforeEach(() => {
  sandbox = makeSandbox(0);
});
afterEach(async () => {
  if (world) await endWorld(world).catch(() => undefined);
  world = undefined;
  removeSandbox(sandbox);
});

async function* filling(chunks: number, beforeLast: () => void) {
  for (let i = 0; i < chunks; i++) {
    if (i === chunks - 1) beforeLast();
    yield pattern(MIB, i + 1);
  }
}

describe("a full disk", () => {
  it("bodies that would reach into the reserve: storage-full; what is there can be removed, and room is found again", async () => {
    const dir = makeRamDisk(sandbox, "ram", 40 * MIB);
    world = await makeWorld({ dir: join(dir, "bodies") });
    const bodies = [await world.put(pattern(10 * MIB)), await world.put(pattern(10 * MIB))];
    const refused = { reason: "storage-full", message: expect.stringMatching(/reserve/) };
    await expect(world.put(pattern(20 * MIB))).rejects.toMatchObject(refused);
    // Of unknown length it is found out on the way.
    const unknown = world.store.write(sourceOf(filling(20, () => undefined)), { signal: free() });
    await expect(unknown).rejects.toMatchObject(refused);
    expect(world.files().length).toBe(2);
    for (const body of bodies) expect((await world.get(body)).equals(pattern(10 * MIB))).toBe(true);
    await world.store.discard(bodies[0]?.bodyId as number);
    await world.put(pattern(15 * MIB));
    expect(world.pool.taken).toBe(0);
  });

  it("no block is left in the middle of a body, the reserve gone to others: storage-full, and nothing is left", async () => {
    const dir = makeRamDisk(sandbox, "ram", 40 * MIB);
    world = await makeWorld({ dir: join(dir, "bodies") });
    const hog = join(dir, "hog");
    const takeAll = () => {
      try {
        writeFileSync(hog, Buffer.alloc(40 * MIB));
      } catch {
        // It takes what there is.
      }
    };
    const source = sourceOf(filling(22, takeAll), 22 * MIB);
    const written = world.store.write(source, { signal: free() });
    await expect(written)
      .rejects.toMatchObject({ reason: "storage-full" })
      .catch(async (error) => {
        throw error;
      });
    expect(world.files()).toEqual([]);
    rmSync(hog);
    expect((await world.put(pattern(MIB))).sizeBytes).toBe(MIB);
  });
});

describe("a read-only disk", () => {
  it("writes: read-only; reads go on; writable again: as before", async () => {
    const disk = makeDisk(sandbox, "disk", 64 * MIB, "ext4");
    world = await makeWorld({ dir: join(disk.mounted, "bodies") });
    const body = await world.put(pattern(MIB));
    disk.remount("ro");
    await expect(world.put(pattern(MIB))).rejects.toMatchObject({
      reason: "read-only",
      message: expect.stringMatching(/read-only/),
    });
    expect((await world.get(body)).equals(pattern(MIB))).toBe(true);
    disk.remount("rw");
    expect((await world.put(pattern(MIB))).sizeBytes).toBe(MIB);
  });
});

describe("a disk that fails", () => {
  it("a read answers EIO: damaged, and nothing is given", async () => {
    const disk = makeDisk(sandbox, "disk", 64 * MIB, "ext4");
    world = await makeWorld({ dir: join(disk.mounted, "bodies") });
    const body = await world.put(pattern(8 * MIB));
    await world.store.close();
    disk.unmount();
    disk.mount();
    const { dir } = world;
    world = await makeWorld({ dir });
    // The loop device has no bytes any more where the file's are.
    truncateSync(disk.image, MIB);
    await expect(world.get(body)).rejects.toMatchObject({
      reason: "damaged",
      message: expect.stringMatching(/disk failed/),
    });
    expect(world.problems.length).toBe(1);
    expect(world.pool.taken).toBe(0);
  });

  it("the disk is gone in the middle of a body: the write fails, and is never said to be stored", async () => {
    const disk = makeDisk(sandbox, "disk", 64 * MIB, "ext4");
    world = await makeWorld({ dir: join(disk.mounted, "bodies") });
    const body = await world.put(pattern(MIB));
    const source = sourceOf(filling(10, () => disk.fail()));
    await expect(world.store.write(source, { signal: free() })).rejects.toMatchObject({
      reason: "damaged",
      message: expect.stringMatching(/disk failed while writing body \d+: EIO/),
    });
    await expect(world.put(pattern(MIB))).rejects.toMatchObject({ reason: "damaged" });
    await expect(world.get(body, 0, 10)).rejects.toMatchObject({ reason: "damaged" });
    expect(world.pool.taken).toBe(0);
    // What could not be removed is left to the sweep: the generation is not sealed.
    await world.store.close();
    expect([...world.open]).toEqual([1]);
  });

  it("the disk under the disk is full when bytes are written back: the write fails", async () => {
    const ram = makeRamDisk(sandbox, "ram", 24 * MIB);
    const disk = makeDisk(sandbox, "disk", 128 * MIB, "ext4", ram);
    world = await makeWorld({ dir: join(disk.mounted, "bodies") });
    // The kernel says ENOSPC or EIO, as it comes.
    await expect(world.put(pattern(30 * MIB))).rejects.toMatchObject({
      reason: expect.stringMatching(/^(storage-full|damaged)$/),
    });
    expect(world.pool.taken).toBe(0);
  });
});
