import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CephfsWorld, context, MIB, makeCephfsWorld, publicationOf, specOf } from "./cephfs-world.js";
import { CLUSTER } from "./place.js";

let world: CephfsWorld;

beforeAll(async () => {
  world = await makeCephfsWorld();
});
afterAll(async () => {
  await world?.remove();
});

interface Info {
  bytes_quota: number;
  pool_namespace: string;
  state: string;
}

/** The subvolumes that the cluster itself shows. */
function subvolumes(): string[] {
  const { ceph, env, name } = world.place;
  const list = JSON.parse(ceph("fs", "subvolume", "ls", env.fs.filesystem, name, "--format", "json"));
  return (list as { name: string }[]).map((one) => one.name);
}

function info(subvolume: string): Info {
  const { ceph, env, name } = world.place;
  return JSON.parse(ceph("fs", "subvolume", "info", env.fs.filesystem, subvolume, name, "--format", "json")) as Info;
}

const users = () =>
  (JSON.parse(world.place.ceph("auth", "ls", "--format", "json")) as { auth_dump: { entity: string; caps: object }[] })
    .auth_dump;

describe("create", () => {
  it("a volume is a subvolume with its size as quota and a RADOS namespace of its own; another controller finds it", async () => {
    const made = await world.engine.create(context(), specOf("one", { capacityBytes: 20n * MIB }));
    expect(made).toMatchObject({ name: "one", kind: "shared", capacityBytes: 20n * MIB, publications: [] });
    expect(made.id).toMatch(/^g1-f-v-main\.\d+-[0-9a-f]{24}-[0-9a-f]{12}$/);
    const [subvolume = ""] = subvolumes();
    expect(info(subvolume)).toMatchObject({
      bytes_quota: Number(20n * MIB),
      pool_namespace: `fsvolumens_${subvolume}`,
    });
    const other = await world.another();
    expect(await other.get(context(), made.id)).toEqual(made);
    expect(await other.findByName(context(), "one")).toEqual(made);
    expect(await other.condition(context(), made.id)).toEqual({ abnormal: false, message: "healthy" });
    await expect(other.create(context(), specOf("one"))).rejects.toMatchObject({ code: "already-exists" });
    await other.delete(context(), made.id);
    expect(await world.engine.get(context(), made.id)).toBeUndefined();
    expect(subvolumes()).toEqual([]);
    await world.engine.delete(context(), made.id);
  });

  it("a name of any Unicode, and a second volume of the same name after the first: another id", async () => {
    const name = `ümläut "quotes" $(x) \u{1f4be} ${"n".repeat(60)}`;
    const first = await world.engine.create(context(), specOf(name));
    expect((await world.engine.findByName(context(), name))?.name).toBe(name);
    await world.engine.delete(context(), first.id);
    const second = await world.engine.create(context(), specOf(name));
    expect(second.id).not.toBe(first.id);
    expect(await world.engine.get(context(), first.id)).toBeUndefined();
    await world.engine.delete(context(), first.id);
    expect(await world.engine.get(context(), second.id)).toEqual(second);
    await world.engine.delete(context(), second.id);
  });

  it.each([
    ["a pool that is none of the file system's", { parameters: { cluster: CLUSTER, dataPool: "rbd" } }, "dataPool"],
    ["a block volume", { kind: "block" as const }, "shared"],
    ["thick provisioning", { provisioning: "thick" as const }, "thin"],
    ["less than a block of the quota", { capacityBytes: 1024n }, "4194304"],
    ["a source of another engine", { source: { type: "snapshot" as const, snapshotId: "g1-l-s-00" } }, "g1-l-s-00"],
  ])("%s is refused by name, and leaves nothing", async (_what, more, word) => {
    const refused = world.engine.create(context(), specOf("bad", more));
    await expect(refused).rejects.toMatchObject({ name: "StorageError", message: expect.stringContaining(word) });
    expect(subvolumes()).toEqual([]);
    expect(await world.engine.findByName(context(), "bad")).toBeUndefined();
  });
});

describe("list", () => {
  it("in id order, in pages, each volume once", async () => {
    const ids = [];
    for (const name of ["a", "b", "c", "d", "e"]) ids.push((await world.engine.create(context(), specOf(name))).id);
    ids.sort();
    const listed = await world.engine.list(context(), "", 0);
    expect(listed.map(({ id }) => id)).toEqual(ids);
    const paged: string[] = [];
    for (let after = ""; ; ) {
      const page = await world.engine.list(context(), after, 2);
      expect(page.length).toBeLessThanOrEqual(2);
      paged.push(...page.map(({ id }) => id));
      if (page.length === 0) break;
      after = page.at(-1)?.id ?? "";
    }
    expect(paged).toEqual(ids);
    await Promise.all(ids.map((id) => world.engine.delete(context(), id)));
    expect(await world.engine.list(context(), "", 0)).toEqual([]);
    expect(subvolumes()).toEqual([]);
  });
});

describe("expand", () => {
  it("the quota grows; never shrinks", async () => {
    const { id } = await world.engine.create(context(), specOf("grows"));
    expect((await world.engine.expand(context(), id, 64n * MIB)).capacityBytes).toBe(64n * MIB);
    expect((await world.engine.expand(context(), id, 32n * MIB)).capacityBytes).toBe(64n * MIB);
    expect(info(subvolumes()[0] ?? "").bytes_quota).toBe(Number(64n * MIB));
    await world.engine.delete(context(), id);
  });
});

describe("publish", () => {
  it("a Ceph user for each node, that may use this subvolume alone; taken away by unpublish, and no key in the context", async () => {
    const { id } = await world.engine.create(context(), specOf("published"));
    const writer = await world.engine.publish(context(), id, publicationOf("node-a"));
    const reader = await world.engine.publish(context(), id, publicationOf("node-b", { readonly: true }));
    expect(await world.engine.publish(context(), id, publicationOf("node-a"))).toEqual(writer);
    expect(writer).toMatchObject({ cluster: CLUSTER, readonly: "false" });
    const { path = "", userId = "" } = writer;
    const capsOf = (user: string) => users().find(({ entity }) => entity === `client.${user}`)?.caps;
    expect(capsOf(userId)).toMatchObject({
      mds: `allow rw path=${path}`,
      osd: expect.stringMatching(/^allow rw pool=\S+ namespace=fsvolumens_granary-v-/) as string,
    });
    expect(capsOf(reader.userId ?? "")).toMatchObject({ mds: `allow r path=${path}` });
    for (const { entity } of users().filter(({ entity }) => entity.startsWith("client.granary-"))) {
      const key = world.place.ceph("auth", "get-key", entity);
      expect(JSON.stringify([writer, reader])).not.toContain(key);
    }
    await expect(world.engine.delete(context(), id)).rejects.toMatchObject({ code: "failed-precondition" });
    await world.engine.unpublish(context(), id, "node-a");
    expect(capsOf(userId)).toBeUndefined();
    expect(capsOf(reader.userId ?? "")).toBeDefined();
    await world.engine.unpublish(context(), id, "");
    expect(capsOf(reader.userId ?? "")).toBeUndefined();
    expect((await world.engine.get(context(), id))?.publications).toEqual([]);
    await world.engine.unpublish(context(), id, "node-a");
    await world.engine.delete(context(), id);
  });

  it("one node at a time for a single-node mode, whichever controller is asked", async () => {
    const { id } = await world.engine.create(context(), specOf("single"));
    const single = { mode: "SINGLE_NODE_WRITER" as const };
    await world.engine.publish(context(), id, publicationOf("node-a", single));
    const other = await world.another();
    const second = other.publish(context(), id, publicationOf("node-b", single));
    await expect(second).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringContaining("node-a"),
    });
    await expect(
      other.publish(context(), id, publicationOf("node-a", { ...single, readonly: true })),
    ).rejects.toMatchObject({ code: "already-exists" });
    await other.unpublish(context(), id, "node-a");
    await world.engine.publish(context(), id, publicationOf("node-b", single));
    await world.engine.unpublish(context(), id, "");
    await world.engine.delete(context(), id);
  });
});

describe("what CephFS has not", () => {
  it("is refused with its reason", async () => {
    const { engine } = world;
    await expect(engine.createGroup(context(), "g", ["x"])).rejects.toMatchObject({ code: "failed-precondition" });
    await expect(engine.changed(context(), "a", "b")).rejects.toMatchObject({ code: "failed-precondition" });
    await expect(engine.allocated(context(), "a")).rejects.toMatchObject({ code: "failed-precondition" });
    expect(() => engine.checkMutable({ iops: "5" }, "shared")).toThrow(/iops/);
    expect(() => engine.checkParameters({ mounter: "nfs" }, "shared")).toThrow(/mounter/);
    expect(await engine.nodeIds(context())).toBeNull();
  });
});

describe("capacity and probe", () => {
  it("what the data pool has left", async () => {
    const { availableBytes, maximumVolumeBytes } = await world.engine.capacity(context(), {});
    expect(availableBytes).toBeGreaterThan(0n);
    expect(maximumVolumeBytes).toBeLessThanOrEqual(availableBytes);
    await world.engine.probe(context());
    await expect(world.engine.capacity(context(), { dataPool: "none" })).rejects.toThrow(/dataPool/);
  });
});
