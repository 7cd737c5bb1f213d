import * as childProcess from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RbdVolumeEngine } from "../../src/engines/ceph/rbd/index.js";
import type { Volume } from "../../src/model/volume.js";
import { adminTool } from "./place.js";
import { context, failure, MIB, makeRbdWorld, publication, type RbdTestWorld, spec } from "./rbd-world.js";

interface Watcher {
  address: string;
}
interface Blocked {
  addr: string;
  until: string;
}

let world: RbdTestWorld;
let engine: RbdVolumeEngine;

beforeAll(async () => {
  world = makeRbdWorld();
  engine = await world.open();
});
afterAll(() => {
  for (const { kill } of writers) kill();
  return world.remove();
});

/** Ended with the tests, however those end. */
const writers: { kill(): void }[] = [];

const at = (volume: Volume) => `${world.place.spec}/${volume.context?.image}`;
/** Writes so many bytes of random data at the start of an image, as a client of it does. */
const write = (volume: Volume, size = "64K") =>
  world.place.rbd(
    "bench",
    "--io-type",
    "write",
    "--io-size",
    "64K",
    "--io-total",
    size,
    "--io-pattern",
    "rand",
    at(volume),
  );
const md5 = (image: string) => {
  const [sum = ""] = adminTool(world.place.env, "bash", [
    "-c",
    'rbd export --no-progress "$0" - | md5sum',
    image,
  ]).split(" ");
  return sum;
};

/** Until the condition says that nothing is under way. */
async function independent(volume: Volume): Promise<void> {
  for (let i = 0; i < 120; i++) {
    const info = JSON.parse(world.place.rbd("info", "--format", "json", at(volume))) as { parent?: object };
    if (!info.parent) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`${volume.name} is a clone still`);
}

describe("snapshots and copies", () => {
  it("a snapshot keeps its moment, outlives its volume, and a volume of it is independent in the end", async () => {
    const source = await engine.create(context(), spec("source", { capacityBytes: 8n * MIB }));
    world.place.rbd("image-meta", "set", at(source), "granary.format", '{"state":"foreign"}');
    write(source);
    const before = md5(at(source));
    const snapshot = await engine.createSnapshot(context(), "first", source.id);
    expect(snapshot).toMatchObject({ name: "first", sourceVolumeId: source.id, readyToUse: true, sizeBytes: 8n * MIB });
    write(source, "256K");
    expect(await engine.getSnapshot(context(), snapshot.id)).toEqual(snapshot);
    expect(await engine.findSnapshotByName(context(), "first")).toEqual(snapshot);
    expect(await engine.listSnapshots(context())).toEqual([snapshot]);
    expect(await failure(engine.createSnapshot(context(), "first", source.id))).toMatch(/^already-exists/);

    await engine.delete(context(), source.id);
    expect(await engine.get(context(), source.id)).toBeUndefined();
    expect(await engine.listSnapshots(context())).toEqual([snapshot]);
    const sameName = await engine.create(
      context(),
      spec("source", { source: { type: "snapshot", snapshotId: snapshot.id }, capacityBytes: 16n * MIB }),
    );
    expect(sameName).toMatchObject({ capacityBytes: 16n * MIB, publications: [], name: "source" });
    expect(sameName.id).not.toBe(source.id);
    const meta = JSON.parse(world.place.rbd("image-meta", "list", "--format", "json", at(sameName))) as object;
    expect(Object.keys(meta).sort()).toEqual(["granary.format", `granary.volume.${sameName.context?.imageId}`]);
    world.place.rbd("resize", "--no-progress", "--allow-shrink", "--size", "8M", at(sameName));
    expect(md5(at(sameName))).toBe(before);

    await engine.deleteSnapshot(context(), snapshot.id);
    await engine.deleteSnapshot(context(), snapshot.id);
    expect(await engine.listSnapshots(context())).toEqual([]);
    await independent(sameName);
    expect(md5(at(sameName))).toBe(before);
    await engine.sweep(context());
    await engine.delete(context(), sameName.id);
  });

  it("a copy of a volume holds what that held, and neither holds the other up", async () => {
    const source = await engine.create(context(), spec("original", { capacityBytes: 8n * MIB }));
    write(source);
    const copy = await engine.create(
      context(),
      spec("copy", { source: { type: "volume", volumeId: source.id }, capacityBytes: 8n * MIB }),
    );
    expect(md5(at(copy))).toBe(md5(at(source)));
    expect(world.place.rbd("snap", "ls", "--format", "json", at(source)).trim()).toBe("[]");
    await engine.delete(context(), source.id);
    await independent(copy);
    await engine.delete(context(), copy.id);
  });

  it("a source that is not there is told by its field", async () => {
    const gone = "g1-r-s-main.1-0123456789abcdef01234567-12";
    const call = engine.create(context(), spec("x", { source: { type: "snapshot", snapshotId: gone } }));
    expect(await failure(call)).toMatch(/^not-found: volume_content_source: snapshot/);
    expect(await failure(engine.createSnapshot(context(), "y", "nothing"))).toMatch(/^not-found/);
  });

  it("changed blocks are those that were written between two snapshots", async () => {
    const volume = await engine.create(context(), spec("changing", { capacityBytes: 32n * MIB }));
    const empty = await engine.createSnapshot(context(), "empty", volume.id);
    write(volume);
    const full = await engine.createSnapshot(context(), "full", volume.id);
    expect(await engine.allocated(context(), empty.id)).toEqual([]);
    expect((await engine.allocated(context(), full.id)).length).toBeGreaterThan(0);
    const changed = await engine.changed(context(), empty.id, full.id);
    expect(changed).toEqual(await engine.allocated(context(), full.id));
    expect(await engine.changed(context(), full.id, full.id).catch(() => [])).toEqual([]);
    await engine.delete(context(), volume.id);
    expect(await engine.changed(context(), empty.id, full.id)).toEqual(changed);
    for (const { id } of [empty, full]) await engine.deleteSnapshot(context(), id);
  });

  it("a group is cut of all its volumes, its members go with it, and an idle one needs one round", async () => {
    const volumes = await Promise.all(["g1", "g2"].map((name) => engine.create(context(), spec(name))));
    write(volumes[0] as Volume);
    const ids = volumes.map(({ id }) => id).sort();
    const group = await engine.createGroup(context(), "together", ids);
    expect(group).toMatchObject({ name: "together", sourceVolumeIds: ids });
    expect(await engine.getGroup(context(), group.id)).toEqual(group);
    expect(await engine.findGroupByName(context(), "together")).toEqual(group);
    const members = await Promise.all(group.snapshotIds.map((id) => engine.getSnapshot(context(), id)));
    expect(members.map((one) => [one?.sourceVolumeId, one?.groupId])).toEqual(ids.map((id) => [id, group.id]));
    for (const volume of volumes) {
      const cuts = JSON.parse(world.place.rbd("snap", "ls", "--format", "json", at(volume))) as object[];
      expect(cuts).toHaveLength(1);
    }
    expect(await failure(engine.createGroup(context(), "together", ids))).toMatch(/^already-exists/);
    await engine.deleteGroup(context(), group.id);
    await engine.deleteGroup(context(), group.id);
    expect(await engine.listSnapshots(context())).toEqual([]);
    for (const { id } of volumes) await engine.delete(context(), id);
  });
});

describe("what nobody may lose", () => {
  it("nothing of it all is left on the cluster", async () => {
    await engine.sweep(context());
    for (let i = 0; i < 60; i++) {
      const trash = world.place.rbd("trash", "ls", "--all", "--format", "json", world.place.spec).trim();
      if (trash === "[]") break;
      await new Promise((resolve) => setTimeout(resolve, 500));
      await engine.sweep(context());
    }
    expect(JSON.parse(world.place.rbd("ls", "--format", "json", world.place.spec))).toEqual([]);
    expect(world.place.rbd("trash", "ls", "--all", "--format", "json", world.place.spec).trim()).toBe("[]");
  });

  it("a client that writes still when its node gives the volume up is fenced, and no other", async () => {
    const [volume, bystander] = (await Promise.all(
      ["fenced", "bystander"].map((name) => engine.create(context(), spec(name, { capacityBytes: 64n * MIB }))),
    )) as [Volume, Volume];
    await engine.publish(context(), volume.id, publication("a"));
    const writer = startWriter(at(volume));
    const other = startWriter(at(bystander));
    await writer.started;
    await other.started;
    expect(await failure(engine.delete(context(), bystander.id))).toMatch(/^failed-precondition: .* still attached/);
    const { watchers } = JSON.parse(world.place.rbd("status", "--format", "json", at(volume))) as {
      watchers: Watcher[];
    };
    const addresses = watchers.map(({ address }) => address);
    expect(addresses).toHaveLength(1);
    await engine.unpublish(context(), volume.id, "a");
    expect(await writer.ended).not.toBe(0);
    // Ceph's own would end in an hour.
    const fenced = blocked()
      .filter(({ addr }) => addresses.includes(addr))
      .filter(({ until }) => Date.parse(until) - Date.now() > 365 * 24 * 3600_000);
    expect(fenced.map(({ addr }) => addr)).toEqual(addresses);
    await engine.publish(context(), volume.id, publication("b"));
    await engine.unpublish(context(), volume.id, "b");
    expect(other.isRunning()).toBe(true);
    other.kill();
    await other.ended;
  });
});

/** Ceph 16 adds a second, empty answer to the first. */
function blocked(): Blocked[] {
  const [first = ""] = world.place.ceph("osd", "blocklist", "ls", "--format", "json").split("]");
  return JSON.parse(`${first}]`) as Blocked[];
}

/** `rbd bench` that writes for as long as it may. */
function startWriter(image: string) {
  const { spawn } = childProcess;
  const child = spawn(
    "rbd",
    ["bench", "--io-type", "write", "--io-size", "4K", "--io-total", "100G", "--io-threads", "1", image],
    {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, CEPH_CONF: world.place.env.conf },
    },
  );
  const started = new Promise<void>((resolve) =>
    child.stdout.on("data", (text) => /\n +\d+ /.test(String(text)) && resolve()),
  );
  const ended = new Promise<number | null>((resolve) =>
    child.on("exit", (code, signal) => resolve(signal ? -1 : code)),
  );
  const writer = {
    started,
    ended,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    kill: () => void child.kill("SIGKILL"),
  };
  writers.push(writer);
  return writer;
}
