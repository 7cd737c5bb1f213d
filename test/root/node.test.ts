import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeHandlers } from "../../node/service.js";
import type { VolumeCapability__Output } from "../../proto/gen/csi/v1/VolumeCapability.js";
import { AttacherSet } from "../../src/engines/attacher-set.js";
import { localAttacher } from "../../src/engines/local/attacher.js";
import type { FsType } from "../../src/model/volume.js";
import { type Exec, exec } from "../../src/os/exec.js";

const MIB = 1024 * 1024;
const SIZE = 320 * MIB;
let root = "";
let node: ReturnType<typeof nodeHandlers>;

// Growing a mounted ext4 asks for CAP_SYS_RESOURCE (capability 24); a confined root may lack it.
const effective = BigInt(`0x${/CapEff:\s*([0-9a-f]+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`);
const mayGrowExt4 = ((effective >> 24n) & 1n) === 1n;

const newNode = (run: Exec = exec) =>
  nodeHandlers({
    nodeId: "host-1",
    attachers: new AttacherSet(localAttacher(run, join(root, "pool"))),
    stateDir: join(root, "node"),
    exec: run,
  });
const context = () => ({ signal: AbortSignal.timeout(30_000), requestId: "test", log: pino({ level: "silent" }) });
const imageOf = (id: string) => join(root, "pool", "volumes", id, "image");
const loopsUnder = (folder: string) =>
  spawnSync("losetup", ["-l", "-n", "-O", "NAME,BACK-FILE"], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => line.includes(folder))
    .map((line) => line.split(/\s+/)[0] ?? "");
const mountsUnder = (folder: string) =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(folder));

function newVolume(size = SIZE): string {
  const id = `g1-l-v-${randomBytes(12).toString("hex")}`;
  mkdirSync(dirname(imageOf(id)), { recursive: true });
  writeFileSync(imageOf(id), "");
  truncateSync(imageOf(id), size);
  return id;
}

type Mode = "SINGLE_NODE_WRITER" | "SINGLE_NODE_SINGLE_WRITER" | "SINGLE_NODE_MULTI_WRITER" | "SINGLE_NODE_READER_ONLY";
const mount = (
  fsType = "ext4",
  mode: Mode = "SINGLE_NODE_WRITER",
  more: { mount_flags?: string[]; volume_mount_group?: string } = {},
) =>
  ({
    mount: { fs_type: fsType, mount_flags: [], volume_mount_group: "", ...more },
    access_mode: { mode },
  }) satisfies VolumeCapability__Output;
const block = (mode: Mode = "SINGLE_NODE_WRITER") =>
  ({ block: {}, access_mode: { mode } }) satisfies VolumeCapability__Output;

const stagingOf = (id: string) => join(root, "staging", id);
const targetOf = (id: string, pod = "a") => join(root, "pods", pod, id);
const stageRequest = (id: string, capability: VolumeCapability__Output, volumeContext: Record<string, string> = {}) => {
  const found = existsSync(imageOf(id)) ? statSync(imageOf(id)) : undefined;
  const publish = found
    ? { image: imageOf(id), sizeBytes: String(found.size), inode: `${found.dev}:${found.ino}`, readonly: "false" }
    : {};
  return {
    volume_id: id,
    staging_target_path: stagingOf(id),
    volume_capability: capability,
    publish_context: publish as Record<string, string>,
    volume_context: volumeContext,
    secrets: {},
  };
};
const stage = (id: string, capability: VolumeCapability__Output, volumeContext: Record<string, string> = {}) =>
  node.NodeStageVolume(context(), stageRequest(id, capability, volumeContext));
const unstage = (id: string) =>
  node.NodeUnstageVolume(context(), { volume_id: id, staging_target_path: stagingOf(id) });
const publish = (id: string, capability: VolumeCapability__Output, pod = "a", readonly = false) =>
  node.NodePublishVolume(context(), { ...stageRequest(id, capability), target_path: targetOf(id, pod), readonly });
const unpublish = (id: string, pod = "a") =>
  node.NodeUnpublishVolume(context(), { volume_id: id, target_path: targetOf(id, pod) });
const code = (value: string) => expect.objectContaining({ name: "StorageError", code: value });

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "granary-node-")));
  node = newNode();
});

afterEach(() => {
  for (const path of mountsUnder(root).reverse()) spawnSync("umount", [path]);
  for (const device of loopsUnder(root)) spawnSync("losetup", ["-d", device]);
  rmSync(root, { recursive: true, force: true });
});

describe.each(["ext4", "xfs", "btrfs"] as FsType[])("a volume's life on a node, %s", (fsType) => {
  it("stages, publishes, keeps its data over a restage, and leaves nothing", async () => {
    const id = newVolume();
    for (let round = 0; round < 2; round++) {
      await stage(id, mount(fsType));
      await stage(id, mount(fsType));
      await publish(id, mount(fsType));
      await publish(id, mount(fsType));
      const file = join(targetOf(id), "data");
      if (round === 0) writeFileSync(file, "kept");
      expect(readFileSync(file, "utf8")).toBe("kept");
      await unpublish(id);
      await unpublish(id);
      expect(existsSync(targetOf(id))).toBe(false);
      await unstage(id);
      await unstage(id);
    }
    expect(mountsUnder(root)).toEqual([]);
    expect(loopsUnder(root)).toEqual([]);
    expect(existsSync(join(root, "node", `${id}.json`))).toBe(false);
  });

  it("expand while mounted: device and filesystem grow; stats tell it", async () => {
    const id = newVolume();
    await stage(id, mount(fsType));
    truncateSync(imageOf(id), 2 * SIZE);
    const expand = node.NodeExpandVolume(context(), {
      volume_id: id,
      volume_path: stagingOf(id),
      staging_target_path: "",
      capacity_range: null,
      volume_capability: null,
      secrets: {},
    });
    if (fsType === "ext4" && !mayGrowExt4) {
      await expect(expand).rejects.toEqual(code("failed-precondition"));
      await unstage(id);
      await stage(id, mount(fsType));
    } else {
      expect((await expand).capacity_bytes).toBe(String(2 * SIZE));
    }
    const stats = await node.NodeGetVolumeStats(context(), {
      volume_id: id,
      volume_path: stagingOf(id),
      staging_target_path: "",
    });
    expect(Number(stats.usage?.[0]?.total)).toBeGreaterThan(1.5 * SIZE);
    expect(stats.volume_condition?.abnormal).toBe(false);
  });

  it("a larger clone is mounted beside its source, grown, with the source's data", async () => {
    const source = newVolume();
    await stage(source, mount(fsType));
    writeFileSync(join(stagingOf(source), "data"), "cloned");
    spawnSync("sync", ["-f", stagingOf(source)]);
    const clone = newVolume();
    await copyFile(imageOf(source), imageOf(clone));
    await copyFile(join(dirname(imageOf(source)), "format.json"), join(dirname(imageOf(clone)), "format.json"));
    truncateSync(imageOf(clone), 2 * SIZE);
    await stage(clone, mount(fsType), { hasSource: "true" });
    expect(readFileSync(join(stagingOf(clone), "data"), "utf8")).toBe("cloned");
    writeFileSync(join(stagingOf(clone), "own"), "x");
    expect(existsSync(join(stagingOf(source), "own"))).toBe(false);
    const stats = await node.NodeGetVolumeStats(context(), {
      volume_id: clone,
      volume_path: stagingOf(clone),
      staging_target_path: "",
    });
    expect(Number(stats.usage?.[0]?.total)).toBeGreaterThan(1.5 * SIZE);
  });
});

describe("NodeStageVolume: never formats over data", () => {
  const noMkfs: Exec = (program, args, options) => {
    if (program.startsWith("mkfs")) throw new Error("mkfs was called");
    return exec(program, args, options);
  };

  it.each([0, 700_000, SIZE - 10])("no record, a nonzero byte at %i: FAILED_PRECONDITION", async (offset) => {
    const id = newVolume();
    spawnSync("dd", [`of=${imageOf(id)}`, "bs=1", "conv=notrunc", `seek=${offset}`, "if=/proc/version", "count=1"]);
    node = newNode(noMkfs);
    await expect(stage(id, mount())).rejects.toEqual(code("failed-precondition"));
    expect(loopsUnder(root)).toEqual([]);
  });

  it("blank, with a content source and no record or a foreign one: FAILED_PRECONDITION", async () => {
    const id = newVolume();
    node = newNode(noMkfs);
    await expect(stage(id, mount(), { hasSource: "true" })).rejects.toEqual(code("failed-precondition"));
    writeFileSync(join(dirname(imageOf(id)), "format.json"), '{"state":"foreign"}');
    await expect(stage(id, mount(), { hasSource: "true" })).rejects.toEqual(code("failed-precondition"));
  });

  it("formatted once, then unreadable as a filesystem: FAILED_PRECONDITION", async () => {
    const id = newVolume();
    await stage(id, mount());
    await unstage(id);
    truncateSync(imageOf(id), 0);
    truncateSync(imageOf(id), SIZE);
    node = newNode(noMkfs);
    await expect(stage(id, mount())).rejects.toEqual(code("failed-precondition"));
  });

  it("mkfs failed half-way: the next stage formats again", async () => {
    const id = newVolume();
    node = newNode(async (program, args, options) => {
      const result = await exec(program, args, options);
      if (program.startsWith("mkfs")) throw new Error("crash");
      return result;
    });
    await expect(stage(id, mount("xfs"))).rejects.toThrow("crash");
    node = newNode();
    await stage(id, mount("xfs"));
    expect(mountsUnder(root)).toEqual([stagingOf(id)]);
  });

  it("another inode than was published: FAILED_PRECONDITION", async () => {
    const id = newVolume();
    const request = stageRequest(id, mount());
    request.publish_context.inode = "1:1";
    await expect(node.NodeStageVolume(context(), request)).rejects.toEqual(code("failed-precondition"));
  });

  it("a mount of another volume at the staging path is not taken for this one", async () => {
    const [one, other] = [newVolume(), newVolume()];
    await stage(one, mount());
    await expect(
      node.NodeStageVolume(context(), { ...stageRequest(other, mount()), staging_target_path: stagingOf(one) }),
    ).rejects.toEqual(code("failed-precondition"));
  });

  it("same path, other capability: ALREADY_EXISTS; ids that are not ours: NOT_FOUND, OK on the way back", async () => {
    const id = newVolume();
    await stage(id, mount());
    await expect(stage(id, mount("ext4", "SINGLE_NODE_MULTI_WRITER"))).rejects.toEqual(code("already-exists"));
    await expect(stage("../x", mount())).rejects.toEqual(code("not-found"));
    await unstage("../x");
    await unpublish("x");
  });

  it("a hung tool ends with the request, and the volume can be staged afterwards", async () => {
    const id = newVolume();
    node = newNode((program, args, options) =>
      exec(program === "mkfs.ext4" ? "sleep" : program, program === "mkfs.ext4" ? ["60"] : args, options),
    );
    const hasty = { ...context(), signal: AbortSignal.timeout(300) };
    await expect(node.NodeStageVolume(hasty, stageRequest(id, mount()))).rejects.toEqual(code("deadline-exceeded"));
    node = newNode();
    await stage(id, mount());
  });
});

describe("NodePublishVolume", () => {
  it("not staged, or no staging path: FAILED_PRECONDITION", async () => {
    const id = newVolume();
    await expect(publish(id, mount())).rejects.toEqual(code("failed-precondition"));
  });

  it.each([
    ["SINGLE_NODE_WRITER", false],
    ["SINGLE_NODE_SINGLE_WRITER", false],
    ["SINGLE_NODE_MULTI_WRITER", true],
  ] as [Mode, boolean][])("%s, a second target: allowed is %s", async (mode, allowed) => {
    const id = newVolume();
    await stage(id, mount("ext4", mode));
    await publish(id, mount("ext4", mode));
    const second = publish(id, mount("ext4", mode), "b");
    if (allowed) await second;
    else await expect(second).rejects.toEqual(code("failed-precondition"));
  });

  it("readonly: the target cannot be written, other flags stay, other arguments are ALREADY_EXISTS", async () => {
    const id = newVolume();
    const capability = mount("ext4", "SINGLE_NODE_WRITER", { mount_flags: ["noexec"] });
    await stage(id, capability);
    node = newNode((program, args, options) =>
      args[1]?.includes("remount") ? Promise.reject(new Error("crash")) : exec(program, args, options),
    );
    await expect(publish(id, capability, "a", true)).rejects.toThrow("crash");
    node = newNode();
    await publish(id, capability, "a", true);
    expect(() => writeFileSync(join(targetOf(id), "x"), "")).toThrow("EROFS");
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toMatch(new RegExp(`${targetOf(id)} ro,[^ ]*noexec`));
    await expect(publish(id, capability)).rejects.toEqual(code("already-exists"));
  });

  it("a mount group owns the root, with setgid", async () => {
    const id = newVolume();
    const capability = mount("ext4", "SINGLE_NODE_WRITER", { volume_mount_group: "4321" });
    await stage(id, capability);
    await publish(id, capability);
    const found = statSync(targetOf(id));
    expect([found.gid, found.mode & 0o2070]).toEqual([4321, 0o2070]);
  });

  it("block: the target is the device; readonly has a read-only device of its own", async () => {
    const id = newVolume(64 * MIB);
    await stage(id, block("SINGLE_NODE_MULTI_WRITER"));
    await publish(id, block("SINGLE_NODE_MULTI_WRITER"));
    await publish(id, block("SINGLE_NODE_MULTI_WRITER"), "b", true);
    expect(statSync(targetOf(id)).isBlockDevice()).toBe(true);
    const write = (pod: string) =>
      spawnSync("dd", ["if=/dev/zero", `of=${targetOf(id, pod)}`, "bs=4096", "count=1", "conv=notrunc"]).status;
    expect([write("a"), write("b")]).toEqual([0, 1]);
    const stats = await node.NodeGetVolumeStats(context(), {
      volume_id: id,
      volume_path: targetOf(id),
      staging_target_path: "",
    });
    expect(stats.usage).toEqual([{ unit: "BYTES", total: String(64 * MIB) }]);
    await unpublish(id, "b");
    expect(loopsUnder(root)).toHaveLength(1);
    await expect(unstage(id)).rejects.toEqual(code("failed-precondition"));
    await unpublish(id);
    await unstage(id);
    expect(loopsUnder(root)).toEqual([]);
    await expect(stage(id, mount())).rejects.toEqual(code("failed-precondition"));
  });

  it("an inline ephemeral volume is made and removed", async () => {
    const id = `csi-${randomBytes(32).toString("hex")}`;
    const request = {
      ...stageRequest(id, mount("")),
      staging_target_path: "",
      target_path: targetOf(id),
      readonly: false,
    };
    await node.NodePublishVolume(context(), {
      ...request,
      volume_context: { "csi.storage.k8s.io/ephemeral": "true", size: "64Mi" },
    });
    writeFileSync(join(targetOf(id), "x"), "");
    await unpublish(id);
    expect([mountsUnder(root), loopsUnder(root), existsSync(targetOf(id))]).toEqual([[], [], false]);
  });
});

describe("NodeGetVolumeStats", () => {
  it("not at that path, relative path, unknown id: NOT_FOUND", async () => {
    const id = newVolume();
    await stage(id, mount());
    const stats = (volume_id: string, volume_path: string) =>
      node.NodeGetVolumeStats(context(), { volume_id, volume_path, staging_target_path: "" });
    await expect(stats(id, root)).rejects.toEqual(code("not-found"));
    await expect(stats(id, "some/path")).rejects.toEqual(code("not-found"));
    await expect(stats("nobody", stagingOf(id))).rejects.toEqual(code("not-found"));
  });
});
