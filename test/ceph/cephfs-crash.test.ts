import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { CephfsVolumeEngine } from "../../src/engines/ceph/cephfs/index.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { VolumeSpec } from "../../src/model/volume.js";
import { CEPHFS_STEPS } from "../../src/runtime/steps.js";
import {
  type CephfsWorld,
  context,
  MIB,
  makeCephfsWorld,
  metadataPool,
  publicationOf,
  specOf,
} from "./cephfs-world.js";

const CHILD = fileURLToPath(new URL("cephfs-crash-child.mjs", import.meta.url));

let world: CephfsWorld;
let pool = "";

beforeAll(async () => {
  world = await makeCephfsWorld();
  pool = metadataPool(world.place);
});
afterAll(async () => {
  await world?.remove();
});
afterEach(() => {
  expect(subvolumes()).toEqual([]);
  expect(records()).toEqual([]);
});

const taken = new Set<string>();

/** Another controller makes the call and dies at the step. Its locks would last a minute: they are taken away. */
async function killedAt(step: string, method: string, ...args: unknown[]): Promise<void> {
  const wish = { config: join(world.dir, "config.yaml"), stateDir: join(world.dir, "child"), step, method, args };
  const text = JSON.stringify(wish, (_key, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
  const child = spawn(process.execPath, [CHILD, text], { stdio: ["ignore", "inherit", "inherit"] });
  const ended = await new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? code)));
  expect(ended).toBe("SIGKILL");
  taken.add(step);
  for (const name of objects().filter((one) => one.startsWith("lock."))) rados("rm", name);
}

const rados = (...args: string[]) =>
  world.place.rados("--pool", pool, "--namespace", `granary.${world.place.name}`, ...args);

const objects = () => rados("ls").split("\n").filter(Boolean);
const records = () =>
  objects()
    .filter((name) => !name.startsWith("lock."))
    .flatMap((name) => rados("listomapkeys", name).split("\n").filter(Boolean));

function subvolumes(): string[] {
  const { ceph, env, name } = world.place;
  const list = JSON.parse(ceph("fs", "subvolume", "ls", env.fs.filesystem, name, "--format", "json"));
  return (list as { name: string }[]).map((one) => one.name);
}

/** As a sidecar does: again while another one is in the way. Already there is what the first had done. */
async function again<T>(call: () => Promise<T>): Promise<T | undefined> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error.code === "already-exists") return undefined;
      if (error.code !== "aborted") throw error;
    }
  }
}

async function created(engine: CephfsVolumeEngine, spec: VolumeSpec): Promise<string> {
  await again(() => engine.create(context(), spec));
  const found = await engine.findByName(context(), spec.name);
  expect(found).toMatchObject({ name: spec.name, capacityBytes: spec.capacityBytes, source: spec.source });
  return found?.id ?? "";
}

const stepsOf = (operation: string) => CEPHFS_STEPS.filter((step) => step.startsWith(`${operation}/`));

describe("create", () => {
  it.each(stepsOf("cephfs-create"))("killed at %s: another controller's create makes the one volume", async (step) => {
    const spec = specOf(step);
    await killedAt(step, "create", spec);
    const id = await created(world.engine, spec);
    expect(subvolumes()).toHaveLength(1);
    expect(await world.engine.condition(context(), id)).toEqual({ abnormal: false, message: "healthy" });
    await world.engine.delete(context(), id);
  });

  it("killed, and then wanted with another size: what was left goes, and the other is made", async () => {
    await killedAt("cephfs-create/made", "create", specOf("changed"));
    const id = await created(world.engine, specOf("changed", { capacityBytes: 32n * MIB }));
    expect(subvolumes()).toHaveLength(1);
    await world.engine.delete(context(), id);
  });
});

describe("create of a copy", () => {
  it.each(stepsOf("cephfs-copy"))("killed at %s: another controller ends it, with no snapshot left", async (step) => {
    const { engine, place } = world;
    const source = await created(engine, specOf("source"));
    const spec = specOf(step, { capacityBytes: 32n * MIB, source: { type: "volume", volumeId: source } });
    await killedAt(step, "create", spec);
    const id = await created(engine, spec);
    expect(subvolumes()).toHaveLength(2);
    expect(await engine.condition(context(), id)).toEqual({ abnormal: false, message: "healthy" });
    const of = subvolumes().find((name) => name.endsWith(source.slice(-12))) ?? "";
    const args = ["fs", "subvolume", "snapshot", "ls", place.env.fs.filesystem, of, place.name, "--format", "json"];
    expect(JSON.parse(place.ceph(...args))).toEqual([]);
    await engine.delete(context(), id);
    await engine.delete(context(), source);
  });
});

describe("delete", () => {
  it.each(stepsOf("cephfs-delete"))("killed at %s: not found from then on; its repetition ends it", async (step) => {
    const id = await created(world.engine, specOf(step));
    await killedAt(step, "delete", id);
    expect(await world.engine.get(context(), id)).toBeUndefined();
    expect(await world.engine.list(context(), "", 0)).toEqual([]);
    await world.engine.delete(context(), id);
  });

  it("killed, and nobody asks again: the next controller that starts ends it", async () => {
    const id = await created(world.engine, specOf("unasked"));
    await killedAt("cephfs-delete/marked", "delete", id);
    await world.another();
    await vi.waitFor(() => expect(subvolumes()).toEqual([]), { timeout: 60_000, interval: 500 });
    await vi.waitFor(() => expect(records()).toEqual([]), { timeout: 60_000, interval: 500 });
  });

  it("killed, and its name is wanted again: another volume", async () => {
    const id = await created(world.engine, specOf("reused"));
    await killedAt("cephfs-delete/removed", "delete", id);
    const next = await created(world.engine, specOf("reused"));
    expect(next).not.toBe(id);
    await world.engine.delete(context(), next);
  });
});

describe("expand", () => {
  it.each(stepsOf("cephfs-expand"))("killed at %s: its repetition has volume and quota agree", async (step) => {
    const id = await created(world.engine, specOf(step));
    await killedAt(step, "expand", id, 64n * MIB);
    const grown = await again(() => world.engine.expand(context(), id, 64n * MIB));
    expect(grown?.capacityBytes).toBe(64n * MIB);
    expect(await world.engine.condition(context(), id)).toEqual({ abnormal: false, message: "healthy" });
    await world.engine.delete(context(), id);
  });
});

describe("publish and unpublish", () => {
  const users = (userId: string) => world.place.ceph("auth", "ls", "--format", "json").includes(`client.${userId}"`);

  it.each(stepsOf("cephfs-publish"))("killed at %s: repeated, or taken back with nothing left of it", async (step) => {
    const { engine } = world;
    const id = await created(engine, specOf(step));
    await killedAt(step, "publish", id, publicationOf("node-a"));
    // Whatever was done, the volume is known to be published, and so is not deleted.
    await expect(engine.delete(context(), id)).rejects.toMatchObject({ code: "failed-precondition" });
    const publishContext = await again(() => engine.publish(context(), id, publicationOf("node-a")));
    await world.attacher().prove(context(), { volumeId: id, publishContext: publishContext ?? {} });
    await engine.unpublish(context(), id, "node-a");
    expect(users(publishContext?.userId ?? "")).toBe(false);
    await engine.delete(context(), id);
  });

  it.each(stepsOf("cephfs-unpublish"))("killed at %s: repeated, it leaves nobody that may use it", async (step) => {
    const { engine } = world;
    const id = await created(engine, specOf(step));
    const { userId = "" } = await engine.publish(context(), id, publicationOf("node-a"));
    await killedAt(step, "unpublish", id, "node-a");
    await again(() => engine.unpublish(context(), id, "node-a"));
    expect(users(userId)).toBe(false);
    expect((await engine.get(context(), id))?.publications).toEqual([]);
    await engine.delete(context(), id);
  });
});

describe("snapshots", () => {
  it.each(stepsOf("cephfs-snapshot"))("create killed at %s: its repetition makes the one snapshot", async (step) => {
    const { engine } = world;
    const id = await created(engine, specOf("of"));
    await killedAt(step, "createSnapshot", step, id);
    await again(() => engine.createSnapshot(context(), step, id));
    const snapshot = await engine.findSnapshotByName(context(), step);
    expect(await engine.listSnapshots(context())).toEqual([snapshot]);
    await engine.deleteSnapshot(context(), snapshot?.id ?? "");
    await engine.delete(context(), id);
  });

  it.each(stepsOf("cephfs-delete-snapshot"))("delete killed at %s: repeated, nothing is left", async (step) => {
    const { engine } = world;
    const id = await created(engine, specOf("of"));
    const snapshot = await engine.createSnapshot(context(), step, id);
    await engine.delete(context(), id);
    await killedAt(step, "deleteSnapshot", snapshot.id);
    expect(await engine.getSnapshot(context(), snapshot.id)).toBeUndefined();
    await again(() => engine.deleteSnapshot(context(), snapshot.id));
  });
});

describe("all steps", () => {
  it("each was killed at", () => {
    expect([...taken].sort()).toEqual([...CEPHFS_STEPS].sort());
  });
});
