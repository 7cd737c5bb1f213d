import { readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { allocatedBytes, block, bytes, type Calls, callsOf, fromVolume, MIB, mount, tool } from "./csi-requests.js";
import {
  failureOf,
  granary,
  makeSandbox,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

const GIB = 1024 * MIB;
let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;

async function start(poolBytes: number, ...flags: string[]): Promise<void> {
  sandbox = makeSandbox(poolBytes);
  server = await startServer(sandbox, { flags });
  csi = callsOf(server.client, sandbox);
}

beforeEach(() => {
  sandbox = { dir: "", dataDir: "", poolDir: "" };
});

afterEach(async () => {
  await server?.stop();
  if (sandbox.dir !== "") removeSandbox(sandbox);
});

const probe = () => failureOf(server.client.call("Identity", "Probe", {}));
const condition = async (id: string) => (await csi.get(id)).status?.volume_condition;
const freeBytes = () => {
  const { bavail, bsize } = statfsSync(sandbox.poolDir);
  return bavail * bsize;
};
/** Takes the pool's space until so much is free. */
function fillPool(leaveBytes: number): string {
  const filler = join(sandbox.poolDir, "filler");
  tool("fallocate", "-l", String(Math.floor((freeBytes() - leaveBytes) / 4096) * 4096), filler);
  return filler;
}
/** XFS gives the space of a removed file back a little later. */
async function giveBack(...files: string[]): Promise<void> {
  const [before, size] = [freeBytes(), files.reduce((sum, file) => sum + allocatedBytes(file), 0)];
  for (const file of files) rmSync(file);
  while (freeBytes() < before + size / 2) await new Promise((resolve) => setTimeout(resolve, 20));
}
const refused = (code: string, words: RegExp) => ({ code, details: expect.stringMatching(words) as string });

describe("a full pool", () => {
  it("a clear error, the condition and Probe tell it, nothing is lost, and it works when space is back", async () => {
    await start(GIB);
    const volume = await csi.create("kept", { capacity_range: bytes(64 * MIB) });
    const id = volume.volume_id;
    const file = join(await csi.attach(volume), "data");
    writeFileSync(file, "acknowledged", { flush: true });
    const filler = fillPool(64 * MIB);
    // The last blocks, which no large allocation can have.
    const crumbs = join(sandbox.poolDir, "crumbs");
    try {
      for (;;) writeFileSync(crumbs, Buffer.alloc(4096, 1), { flag: "a", flush: true });
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
    }
    expect((await probe()).code).toBe("FAILED_PRECONDITION");
    expect(await condition(id)).toEqual({ abnormal: true, message: expect.stringMatching(/space/) as string });
    expect((await csi.stats(id)).volume_condition?.abnormal).toBe(true);
    const thick = csi.create("thick", { parameters: { provisioning: "thick" }, capacity_range: bytes(256 * MIB) });
    expect(await failureOf(thick)).toEqual(refused("RESOURCE_EXHAUSTED", /space|room|free/));
    for (const call of [csi.create("thin"), csi.snapshot("cut", id)]) {
      const failure = await failureOf(call);
      expect(["OK", "RESOURCE_EXHAUSTED"]).toContain(failure.code);
    }
    expect(readFileSync(file, "utf8")).toBe("acknowledged");
    await giveBack(filler, crumbs);
    expect(await probe()).toEqual({ code: "OK", details: "" });
    expect(await condition(id)).toEqual({ abnormal: false, message: expect.any(String) as string });
    writeFileSync(file, "and more", { flag: "a", flush: true });
    await csi.detach(id);
    expect(readFileSync(join(await csi.attach(volume), "data"), "utf8")).toBe("acknowledgedand more");
    await csi.create("thin");
    await csi.snapshot("cut", id);
    await csi.detach(id);
  });

  it("the low-space watermark turns Probe and the condition before any write fails", async () => {
    await start(GIB, "--low-space-ratio", "0.25");
    const volume = await csi.create("low");
    const path = await csi.attach(volume);
    expect(await probe()).toEqual({ code: "OK", details: "" });
    const filler = fillPool(200 * MIB);
    expect(await probe()).toEqual(refused("FAILED_PRECONDITION", /low on space.*25 percent/));
    const { entries } = await server.client.call("Controller", "ListVolumes", {});
    for (const found of [await condition(volume.volume_id), entries?.[0]?.status?.volume_condition]) {
      expect(found).toEqual({ abnormal: true, message: expect.stringMatching(/low on space/) as string });
    }
    // ENOSPC is far: what is promised can still be written.
    writeFileSync(join(path, "data"), Buffer.alloc(8 * MIB, 1), { flush: true });
    await giveBack(filler);
    expect((await probe()).code).toBe("OK");
    expect((await condition(volume.volume_id))?.abnormal).toBe(false);
    await csi.detach(volume.volume_id);
  });
});

describe("the overcommit limit", () => {
  it("rule 7: promised to the limit and no further: RESOURCE_EXHAUSTED, for expand too", async () => {
    await start(GIB, "--overcommit", "2");
    const capacity = async () => Number((await server.client.call("Controller", "GetCapacity", {})).available_capacity);
    const all = await capacity();
    expect(all).toBeGreaterThan(1.8 * GIB);
    expect(all).toBeLessThanOrEqual(2 * GIB);
    const half = Math.floor(all / 2 / 4096) * 4096;
    const one = await csi.create("one", { capacity_range: bytes(half), volume_capabilities: [block()] });
    expect(await capacity()).toBe(all - half);
    const more = csi.create("two", { capacity_range: bytes(half + 2 * MIB), volume_capabilities: [block()] });
    expect(await failureOf(more)).toEqual(refused("RESOURCE_EXHAUSTED", /overcommit|room/));
    const grow = csi.expand(one.volume_id, 2 * half + 2 * MIB);
    expect(await failureOf(grow)).toEqual(refused("RESOURCE_EXHAUSTED", /overcommit|room/));
    expect(await capacity()).toBe(all - half);
    await csi.remove(one.volume_id);
    expect(await capacity()).toBe(all);
  });
});

describe("granary pool status", () => {
  it("agrees with the file system: committed, allocated, free, volumes and snapshots", async () => {
    await start(GIB);
    const status = () => {
      const run = granary(["pool", "status", "-o", "json", "--data-dir", sandbox.dataDir]);
      expect(run.code).toBe(0);
      return JSON.parse(run.stdout) as Record<string, number | boolean | string>;
    };
    const volume = await csi.create("measured", { volume_capabilities: [block()], capacity_range: bytes(256 * MIB) });
    const image = csi.image(volume.volume_id);
    expect(allocatedBytes(image)).toBe(0);
    tool("dd", "if=/dev/urandom", `of=${image}`, "bs=1M", "count=64", "conv=notrunc,fsync");
    await csi.snapshot("measured", volume.volume_id);
    tool("sync", "-f", sandbox.poolDir);
    const found = status();
    const { blocks, bsize } = statfsSync(sandbox.poolDir);
    expect(found).toEqual(
      expect.objectContaining({
        dir: sandbox.poolDir,
        reflink: true,
        totalBytes: blocks * bsize,
        committedBytes: 256 * MIB,
        volumes: 1,
        snapshots: 1,
      }),
    );
    expect(Math.abs(Number(found.freeBytes) - freeBytes())).toBeLessThan(4 * MIB);
    // The snapshot shares every extent with the volume, and each is told its own.
    expect(found.allocatedBytes).toBe(2 * 64 * MIB);
    await csi.remove(volume.volume_id);
    expect(status()).toEqual(expect.objectContaining({ committedBytes: 0, allocatedBytes: 64 * MIB, volumes: 0 }));
  });
});

describe("discard", () => {
  it("space comes back to the pool: a file is deleted, fstrim, and the image's blocks fall", async () => {
    await start(GIB);
    const volume = await csi.create("trimmed", { capacity_range: bytes(256 * MIB) });
    const path = await csi.attach(volume);
    const image = csi.image(volume.volume_id);
    tool("sync", "-f", path);
    const empty = allocatedBytes(image);
    writeFileSync(join(path, "data"), Buffer.alloc(64 * MIB, 1), { flush: true });
    expect(allocatedBytes(image)).toBeGreaterThanOrEqual(empty + 64 * MIB);
    const freeBefore = freeBytes();
    rmSync(join(path, "data"));
    tool("sync", "-f", path);
    tool("fstrim", path);
    expect(allocatedBytes(image)).toBeLessThan(empty + 8 * MIB);
    expect(freeBytes()).toBeGreaterThan(freeBefore + 48 * MIB);
    await csi.detach(volume.volume_id);
  });
});

describe("a pool whose file system is read-only", () => {
  it("a clear error for every change, Probe fails, and all works again when it is writable", async () => {
    await start(GIB);
    const volume = await csi.create("readonly");
    writeFileSync(join(await csi.attach(volume), "data"), "kept", { flush: true });
    await csi.detach(volume.volume_id);
    const cut = await csi.snapshot("readonly", volume.volume_id);
    tool("mount", "-o", "remount,ro", sandbox.poolDir);
    try {
      expect(await probe()).toEqual(refused("FAILED_PRECONDITION", /cannot be written to \(EROFS\)/));
      for (const call of [
        () => csi.create("refused"),
        () => csi.snapshot("refused", volume.volume_id),
        () => csi.expand(volume.volume_id, 64 * MIB),
        () => csi.remove(volume.volume_id),
        () => csi.removeSnapshot(cut.snapshot_id ?? ""),
        () => csi.group("refused", [volume.volume_id]),
      ]) {
        expect(await failureOf(call())).toEqual(refused("FAILED_PRECONDITION", /read-only/));
      }
    } finally {
      tool("mount", "-o", "remount,rw", sandbox.poolDir);
    }
    expect((await probe()).code).toBe("OK");
    const { entries } = await server.client.call("Controller", "ListVolumes", {});
    expect(entries?.map((entry) => entry.volume?.volume_id)).toEqual([volume.volume_id]);
    expect(readFileSync(join(await csi.attach(volume), "data"), "utf8")).toBe("kept");
    await csi.detach(volume.volume_id);
    await csi.removeSnapshot(cut.snapshot_id ?? "");
    await csi.remove(volume.volume_id);
  });
});

describe("an image file that is missing", () => {
  it("a clear error, never a new image; the conditions tell it; the data is there when the image is back", async () => {
    await start(GIB);
    const volume = await csi.create("gone");
    const id = volume.volume_id;
    writeFileSync(join(await csi.attach(volume), "data"), "kept", { flush: true });
    const image = csi.image(id);
    renameSync(image, `${image}.away`);
    expect((await csi.stats(id)).volume_condition).toEqual({
      abnormal: true,
      message: expect.stringMatching(/gone/) as string,
    });
    expect(await condition(id)).toEqual({ abnormal: true, message: expect.stringMatching(/missing/) as string });
    await csi.unstage(id);
    for (const call of [
      () => csi.controllerPublish(id),
      () => csi.expand(id, 64 * MIB),
      () => csi.snapshot("gone", id),
      () => csi.create("gone-clone", { volume_content_source: fromVolume(id) }),
    ]) {
      expect(await failureOf(call())).toEqual(refused("FAILED_PRECONDITION", /missing/));
    }
    expect((await failureOf(csi.stage(volume, {}))).code).toBe("NOT_FOUND");
    const { entries } = await server.client.call("Controller", "ListSnapshots", {});
    expect(entries).toEqual([]);
    renameSync(`${image}.away`, image);
    expect((await condition(id))?.abnormal).toBe(false);
    expect(readFileSync(join(await csi.attach(volume), "data"), "utf8")).toBe("kept");
    await csi.detach(id);
    // One that is lost for good can still be deleted.
    rmSync(image);
    await csi.remove(id);
    expect((await failureOf(csi.get(id))).code).toBe("NOT_FOUND");
  });
});

describe("a pool that is not mounted", () => {
  it("Probe fails, nothing is made in the folder below, and all is there when it is mounted again", async () => {
    await start(GIB);
    const volume = await csi.create("unmounted");
    const id = volume.volume_id;
    tool("umount", sandbox.poolDir);
    expect(await probe()).toEqual(refused("FAILED_PRECONDITION", /pool/));
    expect((await condition(id))?.abnormal).toBe(true);
    for (const call of [() => csi.create("below"), () => csi.expand(id, 64 * MIB), () => csi.snapshot("below", id)]) {
      expect(await failureOf(call())).toEqual(refused("FAILED_PRECONDITION", /pool|missing/));
    }
    expect((await failureOf(csi.remove(id))).code).toBe("FAILED_PRECONDITION");
    tool("mount", "-o", "loop,noatime", join(sandbox.dir, "pool.img"), sandbox.poolDir);
    expect((await probe()).code).toBe("OK");
    expect(await condition(id)).toEqual({ abnormal: false, message: expect.any(String) as string });
    await csi.attach(volume, mount());
    await csi.detach(id);
    await csi.remove(id);
  });
});
