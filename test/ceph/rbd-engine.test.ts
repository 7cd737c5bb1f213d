import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RbdVolumeEngine } from "../../src/engines/ceph/rbd/index.js";
import { claimImage, hashOf } from "../../src/engines/ceph/rbd/names.js";
import { context, failure, MIB, makeRbdWorld, publication, type RbdTestWorld, spec } from "./rbd-world.js";

let world: RbdTestWorld;
let engine: RbdVolumeEngine;
let other: RbdVolumeEngine;

beforeAll(async () => {
  world = makeRbdWorld();
  engine = await world.open();
  other = await world.open();
});
afterAll(() => world.remove());

describe("create, get, list, delete", () => {
  it("a new volume is there for every controller, and its image is as the class says", async () => {
    const parameters = { cluster: "main", objectSize: "1Mi", stripeUnit: "64Ki", stripeCount: "4", iops: "500" };
    const volume = await engine.create(context(), spec("ünïcode name", { parameters, mkfsOptions: ["-O", "x"] }));
    expect(volume.id).toMatch(/^g1-r-v-main\.\d+\.[0-9a-f]{8}-[0-9a-f]{24}-[0-9a-f]+$/);
    expect(volume).toMatchObject({ name: "ünïcode name", capacityBytes: 16n * MIB, publications: [], parameters });
    expect(await other.get(context(), volume.id)).toEqual(volume);
    expect(await other.findByName(context(), "ünïcode name")).toEqual(volume);
    const image = `${world.place.spec}/${volume.context?.image}`;
    const info = JSON.parse(world.place.rbd("info", "--format", "json", image)) as Record<string, unknown>;
    expect(info).toMatchObject({ id: volume.context?.imageId, object_size: 1024 ** 2, stripe_count: 4 });
    expect(world.place.rbd("image-meta", "get", image, "conf_rbd_qos_iops_limit").trim()).toBe("500");
    await engine.delete(context(), volume.id);
    await engine.delete(context(), volume.id);
    expect(await engine.get(context(), volume.id)).toBeUndefined();
    expect(await other.findByName(context(), "ünïcode name")).toBeUndefined();
  });

  it("a name is one volume's: a second create is refused, and once it is free it is another's", async () => {
    const first = await engine.create(context(), spec("again"));
    expect(await failure(other.create(context(), spec("again")))).toMatch(/^already-exists: volume again exists/);
    await other.delete(context(), first.id);
    const second = await engine.create(context(), spec("again"));
    expect(second.id).not.toBe(first.id);
    expect(await engine.get(context(), first.id)).toBeUndefined();
    await engine.delete(context(), first.id);
    expect(await engine.get(context(), second.id)).toEqual(second);
    await engine.delete(context(), second.id);
  });

  it("volumes are listed in id order, page by page", async () => {
    const made = await Promise.all(["l1", "l2", "l3", "l4"].map((name) => engine.create(context(), spec(name))));
    const ids = made.map(({ id }) => id).sort();
    expect((await other.list(context(), "", 0)).map(({ id }) => id)).toEqual(ids);
    expect((await other.list(context(), "", 3)).map(({ id }) => id)).toEqual(ids.slice(0, 3));
    expect((await other.list(context(), ids[1] ?? "", 3)).map(({ id }) => id)).toEqual(ids.slice(2));
    await Promise.all(made.map(({ id }) => other.delete(context(), id)));
    expect(await engine.list(context(), "", 0)).toEqual([]);
  });

  it("two controllers at once on one name: one makes it, the other is told so or to retry", async () => {
    const calls = [engine, other, engine, other].map((one) => failure(one.create(context(), spec("raced"))));
    const answers = await Promise.all(calls);
    expect(answers.filter((answer) => answer === "done")).toHaveLength(1);
    expect(answers.filter((answer) => !/^(done|aborted|already-exists)/.test(answer))).toEqual([]);
    const volumes = await engine.list(context(), "", 0);
    expect(volumes.map(({ name }) => name)).toEqual(["raced"]);
    await engine.delete(context(), volumes[0]?.id ?? "");
  });

  it("a name whose image has no header, of a create that was cut off early: it is made anew", async () => {
    const { place } = world;
    const image = `${place.spec}/${claimImage("v", hashOf("cut off"))}`;
    place.rbd("create", "--size", "8M", image);
    const { id } = JSON.parse(place.rbd("info", "--format", "json", image)) as { id: string };
    place.rados("--pool", place.env.rbd.pool, "--namespace", place.name, "rm", `rbd_header.${id}`);
    const volume = await engine.create(context(), spec("cut off"));
    expect(await other.get(context(), volume.id)).toEqual(volume);
    await engine.delete(context(), volume.id);
  });

  it("ids that are not of this engine are nobody's", async () => {
    for (const id of ["", "x", "g1-l-v-0123456789abcdef01234567", "g1-r-v-other.1-0123456789abcdef01234567-12"]) {
      expect(await engine.get(context(), id)).toBeUndefined();
      await engine.delete(context(), id);
    }
  });
});

describe("publish and unpublish", () => {
  it("a volume of one node is refused to another by name, until it is given up", async () => {
    const { id } = await engine.create(context(), spec("published"));
    const told = await engine.publish(context(), id, publication("a"));
    expect(told).toMatchObject({ cluster: "main", namespace: world.place.name, sizeBytes: String(16n * MIB) });
    expect(JSON.stringify(told)).not.toContain(world.config.key?.reveal());
    expect(await other.publish(context(), id, publication("a"))).toEqual(told);
    expect(await failure(other.publish(context(), id, publication("b")))).toMatch(/^failed-precondition: .* node a/);
    expect(await failure(other.delete(context(), id))).toMatch(/^failed-precondition: .* node a/);
    await other.unpublish(context(), id, "unknown");
    await other.unpublish(context(), id, "a");
    await engine.publish(context(), id, publication("b"));
    expect((await other.get(context(), id))?.publications.map(({ nodeId }) => nodeId)).toEqual(["b"]);
    await other.unpublish(context(), id, "");
    await other.delete(context(), id);
  });

  it("a node is any until one has said that it is there, and those that have from then on", async () => {
    const { id } = await engine.create(context(), spec("known"));
    await engine.publish(context(), id, publication("anybody"));
    await engine.unpublish(context(), id, "");
    await engine.registerNode(context(), "host-1");
    await engine.registerNode(context(), "host-1");
    expect(await failure(engine.publish(context(), id, publication("anybody")))).toMatch(/^not-found: node anybody/);
    await other.publish(context(), id, publication("host-1"));
    await other.registerNode(context(), "host-2");
    await engine.unpublish(context(), id, "host-1");
    await engine.publish(context(), id, publication("host-2"));
    expect(await engine.fenceNode(context(), "host-1")).toEqual([]);
    const [taken] = await other.fenceNode(context(), "host-2");
    expect(taken).toMatchObject({ volume: { id, publications: [] }, fenced: [] });
    await engine.delete(context(), id);
  });
});

describe("expand, modify, capacity, condition", () => {
  it("a volume grows, its limits change, and the cluster tells how it is", async () => {
    const { id, context: at } = await engine.create(context(), spec("grown"));
    expect((await other.expand(context(), id, 32n * MIB)).capacityBytes).toBe(32n * MIB);
    expect((await engine.expand(context(), id, 8n * MIB)).capacityBytes).toBe(32n * MIB);
    await other.modify(context(), id, { bps: "10Mi" });
    expect((await engine.get(context(), id))?.mutableParameters).toEqual({ bps: "10Mi" });
    const limit = world.place.rbd("image-meta", "get", `${world.place.spec}/${at?.image}`, "conf_rbd_qos_bps_limit");
    expect(limit.trim()).toBe(String(10n * MIB));
    expect((await engine.condition(context(), id)).message).toMatch(/./);
    const capacity = await engine.capacity(context(), { cluster: "main" });
    expect(capacity.availableBytes).toBeGreaterThan(0n);
    expect(capacity.maximumVolumeBytes).toBeGreaterThan(capacity.availableBytes);
    await engine.probe(context());
    await engine.delete(context(), id);
  });
});
