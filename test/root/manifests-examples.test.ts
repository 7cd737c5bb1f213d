import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claim, claimVolume, makeWorld, pod, storageClass, type World } from "./manifests-world.js";
import { loopsUnder, mountsUnder } from "./server-harness.js";

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));
const files = readdirSync(EXAMPLES).sort();

let world: World;
beforeAll(async () => {
  world = await makeWorld();
}, 60_000);
afterAll(() => world.close());

const bytesAt = (path: string) => {
  const { blocks, bsize } = statfsSync(path);
  return blocks * bsize;
};

describe("examples/", () => {
  it("each file, applied in the order of their names, leaves nothing waiting", async () => {
    const sizes: number[] = [];
    for (const file of files) {
      const result = await world.apply(readFileSync(join(EXAMPLES, file), "utf8"));
      expect({ file, ...result }).toEqual({ file, waiting: [], failed: [] });
      if (file.startsWith("02")) writeFileSync(join(world.path("database", "data"), "pgdata/row"), "1");
      if (world.find("Pod", "database")) sizes.push(bytesAt(world.path("database", "data")));
    }
    expect(world.store.list("Pod").map((one) => one.status.phase)).toEqual(Array(6).fill("Running"));
    expect(readFileSync(join(world.path("compare", "restored"), "pgdata/row"), "utf8")).toBe("1");
    expect(readFileSync(join(world.path("compare", "clone"), "pgdata/row"), "utf8")).toBe("1");
    expect(sizes.at(-1)).toBeGreaterThan((sizes[0] ?? 0) * 1.9);
  }, 60_000);

  it("applied again: nothing is made or changed", async () => {
    const before = [await world.volumeIds(), await world.snapshotIds(), mountsUnder(world.sandbox.dir)];
    for (const file of files.filter((name) => !name.startsWith("02")))
      await world.apply(readFileSync(join(EXAMPLES, file), "utf8"));
    expect([await world.volumeIds(), await world.snapshotIds(), mountsUnder(world.sandbox.dir)]).toEqual(before);
  }, 60_000);
});

describe("a restart of the host", () => {
  it("all mounts and devices are gone: the next reconcile brings each back with its data", async () => {
    const result = await world.apply(
      storageClass("plain") + claim("lasting") + pod("lasting", [claimVolume("lasting")]),
    );
    expect(result.failed).toEqual([]);
    writeFileSync(join(world.path("lasting", "data"), "file"), "still here");
    const before = mountsUnder(join(world.sandbox.dataDir, "kubelet")).sort();
    for (const path of [...before].reverse()) spawnSync("umount", [path]);
    for (const device of loopsUnder(join(world.sandbox.dataDir, "pool"))) spawnSync("losetup", ["-d", device]);
    expect(existsSync(join(world.path("lasting", "data"), "file"))).toBe(false);
    expect(await world.reconcile()).toEqual({ waiting: [], failed: [] });
    expect(mountsUnder(join(world.sandbox.dataDir, "kubelet")).sort()).toEqual(before);
    expect(readFileSync(join(world.path("lasting", "data"), "file"), "utf8")).toBe("still here");
  }, 60_000);
});
