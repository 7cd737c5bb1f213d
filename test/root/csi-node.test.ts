import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VolumeCapability } from "../../proto/gen/csi/v1/VolumeCapability.js";
import type { AccessMode } from "../../src/model/volume.js";
import { block, bytes, type Calls, callsOf, type Made, MIB, mount, mountLine } from "./csi-requests.js";
import {
  failureOf,
  loopsUnder,
  makeSandbox,
  mountsUnder,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;
const PODS = ["a", "b"];
const made: string[] = [];

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  csi = callsOf(server.client, sandbox);
});

afterEach(async () => {
  for (const id of made.splice(0)) {
    for (const pod of PODS) await csi.unpublish(id, pod);
    await csi.detach(id);
    await csi.remove(id);
  }
  expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir]);
  expect(loopsUnder(sandbox.dir)).toHaveLength(1);
  expect(readdirSync(join(sandbox.dataDir, "node"), { recursive: true })).toEqual(["busy"]);
});

afterAll(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

async function volume(name: string, ...capabilities: VolumeCapability[]): Promise<Made> {
  const created = await csi.create(name, capabilities.length > 0 ? { volume_capabilities: capabilities } : {});
  made.push(created.volume_id);
  return created;
}

/** Created, published to the node, and staged. */
async function staged(name: string, capability = mount()): Promise<Made> {
  const created = await volume(name, capability);
  await csi.attach(created, capability);
  return created;
}

const codeOf = async (call: Promise<unknown>) => (await failureOf(call)).code;

describe("NodeStageVolume", () => {
  it("rule 24: same path, other capability or readonly: ALREADY_EXISTS; the same again: OK", async () => {
    const one = await staged("stage-again");
    const { publish_context = {} } = await csi.controllerPublish(one.volume_id);
    expect(await csi.stage(one, publish_context)).toEqual({});
    for (const other of [mount("SINGLE_NODE_MULTI_WRITER"), mount("SINGLE_NODE_READER_ONLY"), block()]) {
      expect(await codeOf(csi.stage(one, publish_context, other))).toBe("ALREADY_EXISTS");
    }
    expect(await codeOf(csi.stage(one, { ...publish_context, readonly: "true" }))).toBe("ALREADY_EXISTS");
  });

  it("rule 24: a capability that the volume cannot have: FAILED_PRECONDITION, and nothing is attached", async () => {
    const own = await volume("stage-unsupported");
    const shared = await volume("stage-shared", mount("MULTI_NODE_MULTI_WRITER"));
    const { publish_context = {} } = await csi.controllerPublish(own.volume_id);
    const there = await csi.controllerPublish(shared.volume_id, mount("MULTI_NODE_MULTI_WRITER"));
    for (const stage of [
      csi.stage(own, publish_context, mount("MULTI_NODE_MULTI_WRITER")),
      csi.stage(own, publish_context, mount("SINGLE_NODE_WRITER", { fs_type: "ntfs" })),
      csi.stage(shared, there.publish_context ?? {}, block()),
    ]) {
      expect(await codeOf(stage)).toBe("FAILED_PRECONDITION");
    }
    expect(loopsUnder(sandbox.dir)).toHaveLength(1);
  });

  it("rule 36: mount flags and secrets are in no message and no log, also when the mount fails", async () => {
    const one = await volume("secretive");
    const { publish_context = {} } = await csi.controllerPublish(one.volume_id);
    const request = {
      volume_id: one.volume_id,
      staging_target_path: csi.staging(one.volume_id),
      volume_capability: mount("SINGLE_NODE_WRITER", { mount_flags: ["hunter2flag=hunter2value"] }),
      publish_context,
      volume_context: one.volume_context ?? {},
      secrets: { key: "hunter2secret" },
    };
    const failure = await failureOf(server.client.call("Node", "NodeStageVolume", request));
    expect(failure.code).toBe("FAILED_PRECONDITION");
    expect(failure.details).toMatch(/mount/);
    expect(failure.details).not.toContain("hunter2");
    expect(server.log()).not.toContain("hunter2");
  });

  it("a flag that works reaches the mount", async () => {
    const capability = mount("SINGLE_NODE_WRITER", { mount_flags: ["nodiratime", "commit=17"] });
    const one = await staged("flags", capability);
    expect(mountLine(csi.staging(one.volume_id))).toMatch(/nodiratime.*commit=17/);
  });
});

describe("NodePublishVolume", () => {
  it("rule 25: without its staging path, or before it was staged: FAILED_PRECONDITION", async () => {
    const one = await volume("unstaged");
    await csi.controllerPublish(one.volume_id);
    expect(await codeOf(csi.publish(one))).toBe("FAILED_PRECONDITION");
    expect(await codeOf(csi.publish(one, { staging_target_path: "" }))).toBe("FAILED_PRECONDITION");
    expect(existsSync(csi.target(one.volume_id))).toBe(false);
  });

  it("rule 26: same target, other arguments: ALREADY_EXISTS; the same: OK", async () => {
    const one = await staged("same-target");
    await csi.publish(one);
    await csi.publish(one);
    expect(await codeOf(csi.publish(one, { readonly: true }))).toBe("ALREADY_EXISTS");
    expect(await codeOf(csi.publish(one, {}, "a", mount("SINGLE_NODE_MULTI_WRITER")))).toBe("ALREADY_EXISTS");
    expect(mountsUnder(join(sandbox.dir, "pods"))).toEqual([csi.target(one.volume_id)]);
  });

  const single: AccessMode[] = ["SINGLE_NODE_WRITER", "SINGLE_NODE_SINGLE_WRITER"];
  const many: AccessMode[] = [
    "SINGLE_NODE_MULTI_WRITER",
    "MULTI_NODE_READER_ONLY",
    "MULTI_NODE_SINGLE_WRITER",
    "MULTI_NODE_MULTI_WRITER",
  ];
  it.each([
    ...single.map((mode) => [mode, "FAILED_PRECONDITION"]),
    ["SINGLE_NODE_READER_ONLY", "FAILED_PRECONDITION"],
    ...many.map((mode) => [mode, "OK"]),
  ] as [AccessMode, string][])("rule 26: %s, a second target: %s", async (mode, code) => {
    const shared = await volume(`second-${mode}`, mount("MULTI_NODE_MULTI_WRITER"));
    // A reader needs a file system that somebody wrote: the first stage makes it.
    await csi.attach(shared, mount("MULTI_NODE_MULTI_WRITER"));
    writeFileSync(join(csi.staging(shared.volume_id), "data"), mode);
    await csi.detach(shared.volume_id);
    await csi.attach(shared, mount(mode));
    await csi.publish(shared, {}, "a", mount(mode));
    expect(await codeOf(csi.publish(shared, {}, "b", mount(mode)))).toBe(code);
    const expected = code === "OK" ? ["a", "b"] : ["a"];
    for (const pod of expected)
      expect(readFileSync(join(csi.target(shared.volume_id, pod), "data"), "utf8")).toBe(mode);
    expect(mountsUnder(join(sandbox.dir, "pods"))).toHaveLength(expected.length);
    if (mode.endsWith("READER_ONLY"))
      expect(() => writeFileSync(join(csi.target(shared.volume_id), "x"), "")).toThrow("EROFS");
  });

  it("rule 26: SINGLE_NODE_MULTI_WRITER, a second target that is read-only: OK, and only that one is", async () => {
    const mode = "SINGLE_NODE_MULTI_WRITER";
    const one = await staged("second-readonly", mount(mode));
    await csi.publish(one, {}, "a", mount(mode));
    await csi.publish(one, { readonly: true }, "b", mount(mode));
    writeFileSync(join(csi.target(one.volume_id, "a"), "data"), "shared");
    expect(readFileSync(join(csi.target(one.volume_id, "b"), "data"), "utf8")).toBe("shared");
    expect(() => writeFileSync(join(csi.target(one.volume_id, "b"), "x"), "")).toThrow("EROFS");
  });

  it.each(["mount", "block"])("rule 27: the driver makes target_path (%s) and unpublish removes it", async (type) => {
    const capability = type === "mount" ? mount() : block();
    const one = await staged(`target-${type}`, capability);
    const target = csi.target(one.volume_id);
    await csi.publish(one, {}, "a", capability);
    expect(type === "mount" ? statSync(target).isDirectory() : statSync(target).isBlockDevice()).toBe(true);
    await csi.unpublish(one.volume_id);
    expect(existsSync(target)).toBe(false);
  });

  it("VOLUME_MOUNT_GROUP: a shared volume's group applies to what is written at every target", async () => {
    const capability = mount("MULTI_NODE_MULTI_WRITER", { volume_mount_group: "4321" });
    const shared = await staged("grouped", capability);
    for (const pod of PODS) {
      await csi.publish(shared, {}, pod, capability);
      const file = join(csi.target(shared.volume_id, pod), `by-${pod}`);
      writeFileSync(file, "");
      expect(statSync(file).gid).toBe(4321);
    }
  });

  it("a CSI inline ephemeral volume: made by publish, gone with unpublish, in no list", async () => {
    const id = `csi-${randomBytes(32).toString("hex")}`;
    const inline = { "csi.storage.k8s.io/ephemeral": "true", size: "64Mi" };
    const one = { volume_id: id, volume_context: inline };
    await csi.publish(one, { staging_target_path: "" });
    await csi.publish(one, { staging_target_path: "" });
    writeFileSync(join(csi.target(id), "data"), "x");
    const { usage } = await csi.stats(id, csi.target(id));
    expect(Number(usage?.[0]?.total)).toBeGreaterThan(32 * MIB);
    expect((await server.client.call("Controller", "ListVolumes", {})).entries).toEqual([]);
    await csi.unpublish(id);
    await csi.unpublish(id);
    expect(existsSync(csi.target(id))).toBe(false);
    expect(readdirSync(join(sandbox.dataDir, "node", "ephemeral"))).toEqual([]);
    rmdirSync(join(sandbox.dataDir, "node", "ephemeral"));
  });
});

describe("NodeUnstageVolume, NodeUnpublishVolume", () => {
  it("rule 28: never staged, never published, or not an id of ours: OK, and what is there stays", async () => {
    const one = await volume("never");
    const somebodys = join(sandbox.dir, "somebodys");
    mkdirSync(somebodys);
    writeFileSync(join(somebodys, "file"), "theirs");
    for (const id of [one.volume_id, `g1-l-v-${"0".repeat(24)}`, "not-ours", `csi-${"0".repeat(64)}`]) {
      await server.client.call("Node", "NodeUnpublishVolume", { volume_id: id, target_path: somebodys });
      await csi.unstage(id, somebodys);
    }
    expect(readFileSync(join(somebodys, "file"), "utf8")).toBe("theirs");
  });

  it("unstage while it is published: FAILED_PRECONDITION naming the target", async () => {
    const one = await staged("busy");
    await csi.publish(one);
    const failure = await failureOf(csi.unstage(one.volume_id));
    expect(failure).toEqual({
      code: "FAILED_PRECONDITION",
      details: expect.stringContaining(csi.target(one.volume_id)) as string,
    });
  });
});

describe("NodeExpandVolume", () => {
  const nodeExpand = (volume_id: string, volume_path: string, more: object = {}) =>
    server.client.call("Node", "NodeExpandVolume", { volume_id, volume_path, ...more });

  it.each(["mount", "block"])(
    "rule 29: capability and range are optional: inferred from the path (%s)",
    async (type) => {
      const capability = type === "mount" ? mount("SINGLE_NODE_WRITER", { fs_type: "btrfs" }) : block();
      const one = await csi.create(`infer-${type}`, {
        volume_capabilities: [capability],
        capacity_range: bytes(128 * MIB),
      });
      made.push(one.volume_id);
      await csi.attach(one, capability);
      await csi.publish(one, {}, "a", capability);
      await csi.expand(one.volume_id, 256 * MIB);
      for (const path of [csi.target(one.volume_id), csi.staging(one.volume_id)]) {
        expect(await nodeExpand(one.volume_id, path)).toEqual({ capacity_bytes: String(256 * MIB) });
        const { usage } = await csi.stats(one.volume_id, path);
        expect(usage?.[0]?.total).toBe(String(256 * MIB));
      }
      const more = { capacity_range: bytes(512 * MIB) };
      expect(await codeOf(nodeExpand(one.volume_id, csi.staging(one.volume_id), more))).toBe("OUT_OF_RANGE");
      expect(await codeOf(nodeExpand(one.volume_id, sandbox.dir))).toBe("NOT_FOUND");
    },
  );
});

describe("NodeGetVolumeStats", () => {
  it("rule 30: not at that path, relative paths and unknown ids too: NOT_FOUND", async () => {
    const [one, other] = [await staged("stats"), await staged("stats-other")];
    const at = csi.staging(one.volume_id);
    for (const [id, path] of [
      [one.volume_id, csi.staging(other.volume_id)],
      [one.volume_id, sandbox.dir],
      [one.volume_id, `${at}/below`],
      [one.volume_id, "some/path"],
      [one.volume_id, at.slice(1)],
      [other.volume_id, at],
      ["not-ours", at],
      [one.volume_id, `${at}/../${one.volume_id}`],
    ] as const) {
      expect([path, await codeOf(csi.stats(id, path))]).toEqual([path, "NOT_FOUND"]);
    }
    expect((await csi.stats(one.volume_id, `${at}//`)).volume_condition?.abnormal).toBe(false);
  });

  it("bytes and inodes agree with the file system", async () => {
    const one = await staged("counted");
    writeFileSync(join(csi.staging(one.volume_id), "data"), Buffer.alloc(4 * MIB, 1), { flush: true });
    const [space, inodes] = (await csi.stats(one.volume_id)).usage ?? [];
    expect([space?.unit, inodes?.unit]).toEqual(["BYTES", "INODES"]);
    for (const part of [space, inodes]) expect(Number(part?.used)).toBeLessThan(Number(part?.total));
    expect(Number(space?.used)).toBeGreaterThanOrEqual(4 * MIB);
    // The root, lost+found and the file, beside the ten that ext4 keeps for itself.
    expect(Number(inodes?.used)).toBe(12);
  });
});
