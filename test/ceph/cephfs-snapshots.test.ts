import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FilesystemAttacher, NodeRef } from "../../src/engines/attacher.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { ContentSource, Volume } from "../../src/model/volume.js";
import { type CephfsWorld, context, MIB, makeCephfsWorld, publicationOf, publish, specOf } from "./cephfs-world.js";

let world: CephfsWorld;
let attacher: FilesystemAttacher;

beforeAll(async () => {
  world = await makeCephfsWorld();
  attacher = world.attacher();
});
afterAll(async () => {
  await world?.remove();
});

/** As a sidecar does: again for as long as it is told that the copying goes on. */
async function createFrom(name: string, source: ContentSource, capacityBytes = 16n * MIB): Promise<Volume> {
  for (;;) {
    try {
      return await world.engine.create(context(), specOf(name, { source, capacityBytes }));
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== "aborted") throw error;
    }
  }
}

async function withMount(volumeId: string, work: (path: string) => void): Promise<void> {
  const ref: NodeRef = await publish(world.engine, volumeId, publicationOf("node-a"));
  const path = world.folder();
  await attacher.mount(context(), ref, { path, readonly: false, flags: [] });
  work(path);
  await attacher.unmount(context(), ref, path);
  await world.engine.unpublish(context(), volumeId, "node-a");
}

function subvolumes(): string[] {
  const { ceph, env, name } = world.place;
  const list = JSON.parse(ceph("fs", "subvolume", "ls", env.fs.filesystem, name, "--format", "json"));
  return (list as { name: string }[]).map((one) => one.name);
}

describe("snapshots", () => {
  it("hold what was there; a volume from one has it, is larger where asked, and is nobody's child", async () => {
    const { engine } = world;
    const { id } = await engine.create(context(), specOf("source"));
    const bytes = randomBytes(Number(4n * MIB));
    await withMount(id, (path) => writeFileSync(join(path, "file"), bytes));
    const snapshot = await engine.createSnapshot(context(), "cut", id);
    expect(snapshot).toMatchObject({ sourceVolumeId: id, sizeBytes: 16n * MIB, readyToUse: true, kind: "shared" });
    await withMount(id, (path) => writeFileSync(join(path, "file"), "later"));
    const other = await world.another();
    expect(await other.getSnapshot(context(), snapshot.id)).toEqual(snapshot);
    expect(await other.findSnapshotByName(context(), "cut")).toEqual(snapshot);
    expect(await other.listSnapshots(context())).toEqual([snapshot]);
    await expect(other.createSnapshot(context(), "cut", id)).rejects.toMatchObject({ code: "already-exists" });
    const small = other.create(
      context(),
      specOf("small", { capacityBytes: 8n * MIB, source: { type: "snapshot", snapshotId: snapshot.id } }),
    );
    await expect(small).rejects.toMatchObject({ code: "out-of-range" });
    const restored = await createFrom("restored", { type: "snapshot", snapshotId: snapshot.id }, 32n * MIB);
    expect(restored.capacityBytes).toBe(32n * MIB);
    expect(await engine.condition(context(), restored.id)).toEqual({ abnormal: false, message: "healthy" });
    await withMount(restored.id, (path) => expect(readFileSync(join(path, "file")).equals(bytes)).toBe(true));
    // The volume goes before its snapshot, which can still be used.
    await engine.delete(context(), id);
    expect(await engine.listSnapshots(context())).toEqual([snapshot]);
    const second = await createFrom("again", { type: "snapshot", snapshotId: snapshot.id });
    await withMount(second.id, (path) => expect(readFileSync(join(path, "file")).equals(bytes)).toBe(true));
    await engine.deleteSnapshot(context(), snapshot.id);
    await engine.deleteSnapshot(context(), snapshot.id);
    expect(await engine.listSnapshots(context())).toEqual([]);
    for (const volume of [restored, second]) await engine.delete(context(), volume.id);
    expect(subvolumes()).toEqual([]);
  });

  it("a copy of a volume leaves no snapshot of the source behind", async () => {
    const { engine, place } = world;
    const { id } = await engine.create(context(), specOf("copied"));
    await withMount(id, (path) => writeFileSync(join(path, "file"), "text"));
    const copy = await createFrom("copy", { type: "volume", volumeId: id });
    expect(copy.source).toEqual({ type: "volume", volumeId: id });
    await withMount(copy.id, (path) => expect(readFileSync(join(path, "file"), "utf8")).toBe("text"));
    const [source = ""] = subvolumes().filter((name) => name.endsWith(id.slice(-12)));
    const args = ["fs", "subvolume", "snapshot", "ls", place.env.fs.filesystem, source, place.name, "--format", "json"];
    expect(JSON.parse(place.ceph(...args))).toEqual([]);
    await engine.delete(context(), id);
    await engine.delete(context(), copy.id);
    expect(subvolumes()).toEqual([]);
  });

  it("a volume that is still being copied has its progress as condition, is not published, and can be deleted", async () => {
    const { engine, place } = world;
    const { id } = await engine.create(context(), specOf("slow", { capacityBytes: 256n * MIB }));
    // Many small files: their copying takes the cluster seconds.
    await withMount(id, (path) => {
      for (let i = 0; i < 400; i++) writeFileSync(join(path, `f${i}`), "x");
    });
    const snapshot = await engine.createSnapshot(context(), "slow-cut", id);
    place.ceph("config", "set", "mgr", "mgr/volumes/snapshot_clone_delay", "15");
    try {
      const spec = specOf("slow-copy", {
        capacityBytes: 256n * MIB,
        source: { type: "snapshot", snapshotId: snapshot.id },
      });
      const cut = engine.create(context(8_000), spec);
      await expect(cut).rejects.toMatchObject({ code: expect.stringMatching(/aborted|deadline-exceeded/) as string });
      expect(await engine.findByName(context(), "slow-copy")).toBeUndefined();
      expect((await engine.list(context(), "", 0)).map((one) => one.name)).not.toContain("slow-copy");
      const target = subvolumes().find((name) => !name.endsWith(id.slice(-12))) ?? "";
      const [, hash = "", token = ""] = /^granary-v-([0-9a-f]+)-([0-9a-f]+)$/.exec(target) ?? [];
      const copyId = `${id.split("-").slice(0, 4).join("-")}-${hash}-${token}`;
      expect(await engine.condition(context(), copyId)).toEqual({
        abnormal: false,
        message: expect.stringMatching(new RegExp(`^the copy of ${snapshot.id} is (pending|in-progress)`)) as string,
      });
      await expect(engine.publish(context(), copyId, publicationOf("node-a"))).rejects.toMatchObject({
        code: "aborted",
      });
      await expect(engine.deleteSnapshot(context(), snapshot.id)).rejects.toMatchObject({ code: "aborted" });
      expect(await engine.getSnapshot(context(), snapshot.id)).toEqual(snapshot);
      await engine.delete(context(), copyId);
      expect(await engine.get(context(), copyId)).toBeUndefined();
    } finally {
      place.ceph("config", "rm", "mgr", "mgr/volumes/snapshot_clone_delay");
    }
    await engine.deleteSnapshot(context(), snapshot.id);
    await engine.delete(context(), id);
    expect(subvolumes()).toEqual([]);
  });
});
