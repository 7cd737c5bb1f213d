import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CephfsVolumeEngine } from "../../src/engines/ceph/cephfs/index.js";
import { hashOf } from "../../src/engines/ceph/cephfs/names.js";
import { CephCluster } from "../../src/engines/ceph/cluster.js";
import { StorageError } from "../../src/errors/storage-error.js";
import { Secret } from "../../src/model/secret.js";
import { type Exec, exec } from "../../src/os/exec.js";
import {
  type CephfsWorld,
  context,
  MIB,
  makeCephfsWorld,
  metadataPool,
  publicationOf,
  publish,
  specOf,
} from "./cephfs-world.js";

let world: CephfsWorld;
let other: CephfsVolumeEngine;

beforeAll(async () => {
  world = await makeCephfsWorld();
  other = await world.another();
});
afterAll(async () => {
  await world?.remove();
});

function subvolumes(): string[] {
  const { ceph, env, name } = world.place;
  const list = JSON.parse(ceph("fs", "subvolume", "ls", env.fs.filesystem, name, "--format", "json"));
  return (list as { name: string }[]).map((one) => one.name);
}

const codesOf = (results: readonly PromiseSettledResult<unknown>[]) =>
  results.map((one) =>
    one.status === "fulfilled" ? "ok" : one.reason instanceof StorageError ? one.reason.code : one.reason,
  );

describe("two controllers at once", () => {
  it("create of one name: one volume, and the loser is told", async () => {
    const results = await Promise.allSettled(
      [world.engine, other, world.engine, other].map((engine) => engine.create(context(), specOf("race"))),
    );
    const codes = codesOf(results);
    expect(codes.filter((code) => code === "ok")).toHaveLength(1);
    for (const code of codes.filter((one) => one !== "ok")) expect(["already-exists", "aborted"]).toContain(code);
    expect(subvolumes()).toHaveLength(1);
    const found = await other.findByName(context(), "race");
    await world.engine.delete(context(), found?.id ?? "");
  });

  it("publish of a single-node volume to two nodes: one has it", async () => {
    const { id } = await world.engine.create(context(), specOf("two-nodes"));
    const to = (node: string) => publicationOf(node, { mode: "SINGLE_NODE_WRITER" });
    const results = await Promise.allSettled([
      world.engine.publish(context(), id, to("node-a")),
      other.publish(context(), id, to("node-b")),
    ]);
    expect(codesOf(results).filter((code) => code === "ok")).toHaveLength(1);
    expect((await other.get(context(), id))?.publications).toHaveLength(1);
    await other.unpublish(context(), id, "");
    await other.delete(context(), id);
  });

  it("delete against snapshot, delete against delete: nothing half, nothing left", async () => {
    const { id } = await world.engine.create(context(), specOf("fought-over"));
    const results = await Promise.allSettled([
      world.engine.delete(context(), id),
      other.createSnapshot(context(), "fought-over-cut", id),
      other.delete(context(), id),
    ]);
    for (const code of codesOf(results)) expect(["ok", "aborted", "not-found"]).toContain(code);
    await other.delete(context(), id);
    for (const snapshot of await world.engine.listSnapshots(context()))
      await other.deleteSnapshot(context(), snapshot.id);
    expect(subvolumes()).toEqual([]);
    expect(await world.engine.list(context(), "", 0)).toEqual([]);
  });

  it("ten volumes by both at once: ten, and ten ids", async () => {
    const names = Array.from({ length: 10 }, (_, i) => `many-${i}`);
    const made = await Promise.all(
      names.map(async (name, i) => {
        for (;;) {
          try {
            return await (i % 2 === 0 ? world.engine : other).create(context(120_000), specOf(name));
          } catch (error) {
            // Two names may share a lock.
            if (!(error instanceof StorageError) || error.code !== "aborted") throw error;
          }
        }
      }),
    );
    expect(new Set(made.map(({ id }) => id)).size).toBe(10);
    expect((await other.list(context(), "", 0)).map(({ name }) => name).sort()).toEqual([...names].sort());
    for (const { id } of made) await world.engine.delete(context(), id);
    expect(subvolumes()).toEqual([]);
  });
});

describe("a controller that hangs", () => {
  /** A tool that does not end where `what` is called. */
  const hanging =
    (what: (program: string, args: readonly string[]) => boolean): Exec =>
    (program, args, options) =>
      what(program, args) ? exec("sleep", ["600"], options) : exec(program, args, options);

  it.each([
    ["rados", (program: string) => program === "rados"],
    ["ceph", (program: string) => program === "ceph"],
    ["the making of the subvolume", (_: string, args: readonly string[]) => args.includes("--namespace-isolated")],
  ])(
    "at %s: the call ends at its deadline, and when its lock has expired another controller makes the volume",
    async (what, where) => {
      const stuck = await world.another({ exec: hanging(where), lockLastsMs: 15_000 });
      const spec = specOf(`hung at ${what}`);
      await expect(stuck.create(context(6_000), spec)).rejects.toMatchObject({ code: "deadline-exceeded" });
      for (;;) {
        try {
          await other.create(context(), spec);
          break;
        } catch (error) {
          if (!(error instanceof StorageError) || error.code !== "aborted") throw error;
        }
      }
      expect(subvolumes()).toHaveLength(1);
      await other.delete(context(), (await other.findByName(context(), spec.name))?.id ?? "");
    },
  );

  it("a lock of a controller that died: aborted with what it did, until it expires", async () => {
    const { id } = await world.engine.create(context(), specOf("locked"));
    const lock = `lock.${hashOf(`${world.place.name}/v/${hashOf("locked")}`).slice(0, 3)}`;
    const at = ["--pool", metadataPool(world.place), "--namespace", `granary.${world.place.name}`];
    const held = ["--lock-cookie", "dead", "--lock-duration", "20", "--lock-description", "ControllerExpandVolume"];
    world.place.rados(...at, "lock", "get", lock, "granary", ...held);
    await expect(other.expand(context(), id, 64n * MIB)).rejects.toMatchObject({
      code: "aborted",
      message: expect.stringContaining("ControllerExpandVolume") as string,
    });
    for (;;) {
      try {
        await other.expand(context(), id, 64n * MIB);
        break;
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== "aborted") throw error;
      }
    }
    expect(await other.condition(context(), id)).toEqual({ abnormal: false, message: "healthy" });
    await other.delete(context(), id);
  });
});

describe("the least caps", () => {
  it("a controller's user and a node's, with what README asks for and no more", async () => {
    const { place } = world;
    const osd = (access: string) => `allow ${access} pool=${metadataPool(place)} namespace=granary*`;
    const add = (user: string, ...caps: string[]) =>
      (
        JSON.parse(place.ceph("auth", "get-or-create", `client.${user}`, ...caps, "--format", "json")) as {
          key: string;
        }[]
      )
        .map(({ key }) => new Secret(key))
        .at(0);
    const [asController, asNode] = [`${place.name}-controller`, `${place.name}-node`];
    const key = add(asController, "mon", "allow r", "mgr", "allow rw", "osd", osd("rwx"));
    const nodeKey = add(asNode, "mon", "allow r", "osd", osd("r"));
    try {
      const engine = await world.another({ config: { user: asController, key } });
      const { id } = await engine.create(context(), specOf("least"));
      const ref = await publish(engine, id, publicationOf("node-a"));
      const cluster = new CephCluster({ ...world.config, user: asNode, key: nodeKey }, exec, world.folder());
      const attacher = world.attacher({ cluster: () => cluster });
      const path = world.folder();
      await attacher.mount(context(), ref, { path, readonly: false, flags: [] });
      writeFileSync(join(path, "file"), "x");
      await attacher.unmount(context(), ref, path);
      await cluster.close();
      await engine.expand(context(), id, 64n * MIB);
      expect(await engine.condition(context(), id)).toEqual({ abnormal: false, message: "healthy" });
      await engine.capacity(context(), {});
      const snapshot = await engine.createSnapshot(context(), "least-cut", id);
      await engine.unpublish(context(), id, "node-a");
      await engine.delete(context(), id);
      await engine.deleteSnapshot(context(), snapshot.id);
    } finally {
      for (const user of [asController, asNode]) place.ceph("auth", "rm", `client.${user}`);
    }
  });
});

describe("bad input", () => {
  const STRANGE = ["", "x", "../../etc", "g1-f-v-main.1-zz-yy", "g1-f-v-other.1-0123456789abcdef01234567-0123456789ab"];
  const unknown = () => `g1-f-v-main.1-${"0".repeat(24)}-${"1".repeat(12)}`;

  it("ids of nobody, of another cluster, of a volume that is not: gone on delete, not found elsewhere", async () => {
    for (const id of [...STRANGE, unknown(), `${unknown()}\n`, "g1-l-v-0123456789abcdef01234567"]) {
      await other.delete(context(), id);
      await other.unpublish(context(), id, "node-a");
      await other.deleteSnapshot(context(), id.replace("-v-", "-s-"));
      expect(await other.get(context(), id)).toBeUndefined();
      expect(await other.getSnapshot(context(), id.replace("-v-", "-s-"))).toBeUndefined();
      await expect(other.publish(context(), id, publicationOf("n"))).rejects.toMatchObject({ code: "not-found" });
      await expect(other.expand(context(), id, 64n * MIB)).rejects.toMatchObject({ code: "not-found" });
      await expect(other.createSnapshot(context(), "of nothing", id)).rejects.toMatchObject({ code: "not-found" });
      await expect(other.condition(context(), id)).rejects.toMatchObject({ code: "not-found" });
    }
    expect(await other.listSnapshots(context())).toEqual([]);
  });

  it("node ids of any text", async () => {
    const { id } = await other.create(context(), specOf("nodes"));
    const node = `n/../ "'$(id) \u{1f5a5} ${"x".repeat(200)}`;
    await other.publish(context(), id, publicationOf(node));
    expect((await world.engine.get(context(), id))?.publications.map(({ nodeId }) => nodeId)).toEqual([node]);
    await other.unpublish(context(), id, node);
    await other.delete(context(), id);
  });

  it("a record that is damaged is left as it is, and hides no other", async () => {
    const { id } = await other.create(context(), specOf("well"));
    const { id: bad } = await other.create(context(), specOf("damaged"));
    const hash = bad.split("-").at(-2) ?? "";
    const shard = "048c".split("").findLast((first) => first <= hash.slice(0, 1)) ?? "";
    const at = ["--pool", metadataPool(world.place), "--namespace", `granary.${world.place.name}`];
    const text = world.place.rados(...at, "getomapval", `volumes.${shard}`, hash);
    expect(text).toContain("value (");
    world.place.rados(...at, "setomapval", `volumes.${shard}`, hash, '{"v":1,"state":"rea');
    await expect(other.delete(context(), bad)).rejects.toMatchObject({ code: "failed-precondition" });
    expect((await other.list(context(), "", 0)).map((one) => one.id)).toEqual([id]);
    world.place.rados(...at, "rmomapkey", `volumes.${shard}`, hash);
    await other.delete(context(), id);
  });

  it("a cluster that does not answer, and a user that it does not know: said so", async () => {
    const away = await world.another({ config: { monitors: ["127.0.0.1:1"] } });
    const asked = away.findByName(context(40_000), "x");
    await expect(asked).rejects.toMatchObject({ code: expect.stringMatching(/unavailable|deadline/) as string });
    const stranger = await world.another({ config: { user: "nobody-here" } });
    await expect(stranger.findByName(context(), "x")).rejects.toMatchObject({ code: "failed-precondition" });
    const nowhere = await world.another({ config: { filesystem: "nofs" } });
    await expect(nowhere.probe(context())).rejects.toThrow(/filesystem.*nofs/);
  });
});
