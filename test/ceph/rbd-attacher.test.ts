import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeRef } from "../../src/engines/attacher.js";
import { hashOf } from "../../src/engines/ceph/rbd/names.js";
import { clientKey } from "../../src/engines/ceph/rbd/records.js";
import { type AttacherWorld, context, fails, MIB, makeAttacherWorld, mounted, NODE_ID, sh } from "./attacher-world.js";

let world: AttacherWorld;
beforeAll(() => {
  world = makeAttacherWorld();
});
afterAll(() => world.remove());

const bytesOf = (device: string) => Number(sh("blockdev", "--getsize64", device));
const writeAt = (device: string, offset: number, data: Buffer) => {
  const file = join(world.dir, "data");
  writeFileSync(file, data);
  sh("dd", `if=${file}`, `of=${device}`, "bs=4096", `seek=${offset / 4096}`, "conv=notrunc,fsync", "status=none");
};
const blank = Buffer.alloc(8192);

describe("attach", () => {
  it("attaches once, grows with the image while it is mounted, and is not detached while it is", async () => {
    const { attacher, place } = world;
    const ref = world.image("grows", 512);
    const first = await attacher.attach(context(), ref, false);
    expect(first.sizeBytes).toBe(BigInt(512 * MIB));
    expect(first.identity).toBe(await attacher.prove(context(), ref));
    expect(await attacher.attach(context(), ref, false)).toEqual(first);
    // As after a restart of the node plugin.
    expect((await world.again().attach(context(), ref, false)).device).toBe(first.device);

    sh("mkfs.xfs", "-q", first.device);
    const path = mounted(world, first.device);
    const data = randomBytes(MIB);
    writeFileSync(join(path, "file"), data, { flush: true });
    place.rbd("resize", "--no-progress", "--size", "1G", world.spec(ref));
    const grown = await attacher.attach(context(), ref, false);
    expect(grown).toEqual({ ...first, sizeBytes: BigInt(1024 * MIB) });
    expect(bytesOf(first.device)).toBe(1024 * MIB);
    sh("xfs_growfs", path);
    writeFileSync(join(path, "more"), Buffer.alloc(32 * MIB, 7), { flush: true });

    const devices = await attacher.devices(context(), ref, first.identity);
    expect(devices).toEqual([{ device: first.device, readonly: false, identity: first.identity }]);
    await attacher.detach(context(), devices);
    expect(await attacher.devices(context(), ref, first.identity)).toEqual(devices);
    expect(readFileSync(join(path, "file")).equals(data)).toBe(true);

    sh("umount", path);
    await attacher.detach(context(), devices);
    expect(await attacher.devices(context(), ref, undefined)).toEqual([]);
    expect(readdirSync(world.stateDir)).toEqual([]);
    expect(place.rbd("status", world.spec(ref))).toContain("Watchers: none");
    const back = await attacher.attach(context(), ref, false);
    const again = mounted(world, back.device, "-o", "ro");
    expect(readFileSync(join(again, "file")).equals(data)).toBe(true);
    sh("umount", again);
    await attacher.detach(context(), await attacher.devices(context(), ref, back.identity));
  });

  it("read-only beside a writer: shows what was written, and takes no write", async () => {
    const { attacher } = world;
    const ref = world.image("read-only");
    const data = randomBytes(8192);
    const writer = await attacher.attach(context(), ref, false);
    writeAt(writer.device, 0, data);
    const reader = await attacher.attach(context(), ref, true);
    expect(reader.device).not.toBe(writer.device);
    expect(reader).toMatchObject({ readonly: true, identity: writer.identity });
    expect(readFileSync(reader.device).subarray(0, 8192).equals(data)).toBe(true);
    expect(fails("dd", "if=/dev/zero", `of=${reader.device}`, "bs=4096", "count=1", "conv=fsync")).toBe(true);
    const devices = await attacher.devices(context(), ref, undefined);
    expect(devices.map(({ device }) => device).sort()).toEqual([reader.device, writer.device].sort());
    await attacher.detach(context(), devices);
    expect(await attacher.devices(context(), ref, writer.identity)).toEqual([]);
  });

  it("no image, another image of that name, a smaller one, another cluster: refused, and nothing is attached", async () => {
    const { attacher, place } = world;
    const ref = world.image("replaced");
    const change = (changed: Record<string, string>) => ({
      ...ref,
      publishContext: { ...ref.publishContext, ...changed },
    });
    await expect(attacher.attach(context(), change({ cluster: "other" }), false)).rejects.toThrow(/cluster/);
    await expect(attacher.attach(context(), change({ image: "-x@y" }), false)).rejects.toThrow(/publish_context.image/);
    const larger = attacher.attach(context(), change({ sizeBytes: String(65 * MIB) }), false);
    await expect(larger).rejects.toMatchObject({ code: "failed-precondition" });
    await expect(attacher.prove(context(), { ...ref, publishContext: {} })).rejects.toMatchObject({
      code: "failed-precondition",
    });
    place.rbd("rm", "--no-progress", world.spec(ref));
    await expect(attacher.attach(context(), ref, false)).rejects.toMatchObject({ code: "not-found" });
    world.image("replaced");
    await expect(attacher.attach(context(), ref, false)).rejects.toMatchObject({ code: "failed-precondition" });
    expect(await attacher.devices(context(), ref, undefined)).toEqual([]);
    expect(readdirSync(world.stateDir)).toEqual([]);
  });

  it("cut off by its deadline at any time: the next one attaches, once", async () => {
    const { attacher } = world;
    const ref = world.image("cut-off");
    for (const ms of [40, 150, 300, 450]) {
      await attacher.attach(context(ms), ref, false).catch(() => undefined);
      const { device, identity } = await attacher.attach(context(), ref, false);
      expect((await attacher.devices(context(), ref, identity)).map((one) => one.device)).toEqual([device]);
      writeAt(device, 0, randomBytes(8192));
      await attacher.detach(context(), await attacher.devices(context(), ref, identity));
    }
    expect(readdirSync(world.stateDir)).toEqual([]);
  });

  it("leaves no secret: neither in a command line nor in a file", async () => {
    const { attacher } = world;
    const ref = world.image("secret");
    const { identity } = await attacher.attach(context(), ref, false);
    const key = world.cluster.config.key?.reveal() ?? "";
    expect(key).not.toBe("");
    for (const folder of readdirSync(world.stateDir))
      for (const name of readdirSync(join(world.stateDir, folder)).filter((one) => one !== "image"))
        expect(readFileSync(join(world.stateDir, folder, name), "utf8")).not.toContain(key);
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      const path = `/proc/${pid}/cmdline`;
      if (existsSync(path)) expect(readFileSync(path, "utf8")).not.toContain(key);
    }
    await attacher.detach(context(), await attacher.devices(context(), ref, identity));
  });
});

describe("the node's client", () => {
  const named = (ref: NodeRef) =>
    JSON.parse(world.place.rbd("image-meta", "ls", "--format", "json", world.spec(ref)) || "{}") as Record<
      string,
      string
    >;
  const watchers = (ref: NodeRef) => {
    const status = world.place.rbd("status", "--format", "json", world.spec(ref));
    return (JSON.parse(status) as { watchers: { address: string }[] }).watchers.map(({ address }) => address);
  };
  const key = clientKey(hashOf(NODE_ID));

  it("is named in the image's metadata while it has the image, for the controller to cut off, and no longer", async () => {
    const { attacher } = world;
    const ref = world.image("client");
    const beside = await attacher.attach(context(), ref, true);
    expect(named(ref)).not.toHaveProperty(key);
    const before = watchers(ref);
    const { identity } = await attacher.attach(context(), ref, false);
    const client = JSON.parse(named(ref)[key] ?? "") as { nodeId: string; address: string };
    expect(client.nodeId).toBe(NODE_ID);
    expect(watchers(ref).filter((address) => !before.includes(address))).toEqual([client.address]);
    await attacher.detach(context(), await attacher.devices(context(), ref, identity));
    expect(named(ref)).not.toHaveProperty(key);
    expect(beside.identity).toBe(identity);
  });
});

describe("the format record", () => {
  it("goes with the image, and a damaged one is not an absent one", async () => {
    const { attacher, place } = world;
    const ref = world.image("record");
    expect(await attacher.readRecord(context(), ref)).toBeUndefined();
    const record = { state: "formatted", fsType: "ext4", uuid: "u", volumeId: ref.volumeId } as const;
    await (await attacher.writeRecord(context(), ref, record)).synced;
    expect(await attacher.readRecord(context(), ref)).toEqual(record);
    place.rbd("image-meta", "set", world.spec(ref), "granary.format", "{");
    await expect(attacher.readRecord(context(), ref)).rejects.toMatchObject({ code: "failed-precondition" });
    place.rbd("rm", "--no-progress", world.spec(ref));
    await expect(attacher.readRecord(context(), ref)).rejects.toMatchObject({ code: "not-found" });
  });

  it("may be written while the image is attached and written to", async () => {
    const { attacher } = world;
    const ref = world.image("record-attached");
    const { device, identity } = await attacher.attach(context(), ref, false);
    writeAt(device, 0, randomBytes(8192));
    await attacher.writeRecord(context(), ref, { state: "raw", volumeId: ref.volumeId });
    writeAt(device, 8192, randomBytes(8192));
    expect(await attacher.readRecord(context(), ref)).toMatchObject({ state: "raw" });
    await attacher.detach(context(), await attacher.devices(context(), ref, identity));
  });
});

describe("the proof of blankness", () => {
  it("takes an image that was never written to, and one of zeros; no other", async () => {
    const { attacher, place } = world;
    const ref = world.image("blank", 64);
    const { device, identity } = await attacher.attach(context(), ref, false);
    const proof = () => attacher.proveBlank(context(), ref, device);
    await proof();
    writeAt(device, 40 * MIB, blank);
    await proof();
    writeAt(device, 40 * MIB + 4096, randomBytes(4096));
    await expect(proof()).rejects.toMatchObject({ code: "failed-precondition", message: /holds data/ });
    sh("blkdiscard", device);
    await proof();
    sh("mkfs.ext4", "-q", device);
    await expect(proof()).rejects.toMatchObject({ code: "failed-precondition", message: /holds ext4/ });
    await attacher.detach(context(), await attacher.devices(context(), ref, identity));
    await expect(attacher.proveBlank(context(), ref, "/dev/null")).rejects.toThrow();
    expect(place.rbd("status", world.spec(ref))).toContain("Watchers: none");
  });
});
