import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { lookAt } from "../../node/truth.js";
import type { FilesystemAttacher, NodeRef } from "../../src/engines/attacher.js";
import { fuseProcesses } from "../../src/engines/ceph/cephfs-node/fuse-mount.js";
import { exec } from "../../src/os/exec.js";
import { type MountEntry, mountAt } from "../../src/os/mount.js";
import { type CephfsWorld, context, MIB, makeCephfsWorld, publicationOf, publish, specOf } from "./cephfs-world.js";

const { EDQUOT } = constants.errno;

let world: CephfsWorld;
let attacher: FilesystemAttacher;

beforeAll(async () => {
  world = await makeCephfsWorld();
  attacher = world.attacher();
});
afterAll(async () => {
  await world?.remove();
});

async function mounted(ref: NodeRef, at: { readonly?: boolean; flags?: string[] } = {}): Promise<string> {
  const path = world.folder();
  await attacher.mount(context(), ref, { path, readonly: at.readonly ?? false, flags: at.flags ?? [] });
  return path;
}

async function entryAt(path: string) {
  const entry = await mountAt(path);
  if (!entry) throw new Error(`nothing is mounted at ${path}`);
  return entry;
}

/** Processes whose command line has the word, by the kernel's own list. */
const processesWith = (word: string): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(word));

const volume = async (name: string, node = "node-a") => {
  const { id } = await world.engine.create(context(), specOf(name));
  return publish(world.engine, id, publicationOf(node));
};

async function gone(ref: NodeRef): Promise<void> {
  await world.engine.unpublish(context(), ref.volumeId, "");
  await world.engine.delete(context(), ref.volumeId);
}

describe("mount", () => {
  it("two nodes see each other's files; the quota is the size that statfs shows, and is enforced", async () => {
    const ref = await volume("both");
    const other = await publish(world.engine, ref.volumeId, publicationOf("node-b"));
    const [a, b] = [await mounted(ref), await mounted(other)];
    writeFileSync(join(a, "from-a"), "a");
    writeFileSync(join(b, "from-b"), "b");
    expect(readFileSync(join(b, "from-a"), "utf8")).toBe("a");
    expect(readFileSync(join(a, "from-b"), "utf8")).toBe("b");
    const { blocks, bsize } = statfsSync(a, { bigint: true });
    expect(blocks * bsize).toBe(16n * MIB);
    await world.engine.expand(context(), ref.volumeId, 32n * MIB);
    writeFileSync(join(a, "large"), randomBytes(Number(24n * MIB)));
    const over = () => writeFileSync(join(a, "too-large"), randomBytes(Number(32n * MIB)));
    expect(over).toThrow(expect.objectContaining({ errno: -EDQUOT }) as Error);
    // The metadata server counts what is used a little after it is written.
    await vi.waitFor(
      async () => expect((await world.engine.condition(context(), ref.volumeId)).message).toMatch(/bytes are used/),
      { timeout: 60_000, interval: 1_000 },
    );
    await attacher.unmount(context(), ref, a);
    await attacher.unmount(context(), other, b);
    await gone(ref);
  });

  it("its identity is told by the mount, of another volume it is not, and a new attacher finds it", async () => {
    const [one, two] = [await volume("mine"), await volume("not-mine")];
    const [a, b] = [await mounted(one), await mounted(two)];
    const again = world.attacher();
    const identity = await again.prove(context(), one);
    expect(again.owns(await entryAt(a), one, identity)).toBe(true);
    expect(again.owns(await entryAt(b), one, identity)).toBe(false);
    const bound = world.folder();
    expect(spawnSync("mount", ["--bind", a, bound]).status).toBe(0);
    expect(again.owns(await entryAt(bound), one, identity)).toBe(true);
    expect(await again.problem(context(), one, identity)).toBeUndefined();
    await again.unmount(context(), one, a);
    // The other mount still shows the volume: what serves it goes on.
    writeFileSync(join(bound, "file"), "x");
    await again.unmount(context(), one, bound);
    await again.unmount(context(), one, bound);
    expect(processesWith(one.publishContext.path ?? "")).toEqual([]);
    await again.unmount(context(), two, b);
    await Promise.all([gone(one), gone(two)]);
  });

  it("what was written and not synced is there after unmount and unpublish", async () => {
    const ref = await volume("flushed");
    const path = await mounted(ref);
    const bytes = randomBytes(Number(8n * MIB));
    writeFileSync(join(path, "file"), bytes);
    await attacher.unmount(context(), ref, path);
    await world.engine.unpublish(context(), ref.volumeId, "node-a");
    const back = await publish(world.engine, ref.volumeId, publicationOf("node-b"));
    const there = await mounted(back);
    expect(readFileSync(join(there, "file")).equals(bytes)).toBe(true);
    await attacher.unmount(context(), back, there);
    await gone(ref);
  });

  it("read-only by the mount, and by the key: what is published so cannot be written", async () => {
    const ref = await volume("reads");
    const path = await mounted(ref);
    writeFileSync(join(path, "file"), "text");
    const reader = await publish(world.engine, ref.volumeId, publicationOf("node-r", { readonly: true }));
    const asRead = await mounted(reader, { flags: ["noatime"] });
    expect((await entryAt(asRead)).options).toEqual(expect.arrayContaining(["ro", "noatime"]));
    expect(readFileSync(join(asRead, "file"), "utf8")).toBe("text");
    expect(() => writeFileSync(join(asRead, "other"), "x")).toThrow(/EROFS/);
    // A node that does not keep to it is kept to it by Ceph.
    const cheating = { ...reader, publishContext: { ...reader.publishContext, readonly: "false" } };
    const asWritten = world.folder();
    const tried = attacher.mount(context(), cheating, { path: asWritten, readonly: false, flags: [] });
    await tried.then(
      () => expect(() => writeFileSync(join(asWritten, "other"), "x")).toThrow(/EACCES|EPERM|EROFS/),
      (error: Error) => expect(error).toMatchObject({ name: "StorageError" }),
    );
    for (const [r, p] of [
      [cheating, asWritten],
      [reader, asRead],
      [ref, path],
    ] as const)
      await attacher.unmount(context(), r, p);
    await gone(ref);
  });

  it("no key on any command line, none in a file after the mount", async () => {
    const ref = await volume("secret");
    const path = await mounted(ref);
    const key = world.place.ceph("auth", "get-key", `client.${ref.publishContext.userId}`).trim();
    expect(key).toMatch(/^[A-Za-z0-9+/]{20,}=*$/);
    expect(processesWith(key)).toEqual([]);
    const files = readdirSync(join(world.dir, "node"), { recursive: true, withFileTypes: true }).filter((f) =>
      f.isFile(),
    );
    for (const file of files) expect(readFileSync(join(file.parentPath, file.name), "utf8")).not.toContain(key);
    await attacher.unmount(context(), ref, path);
    await gone(ref);
  });
});

describe("unpublish", () => {
  it("a node that still has it mounted is cut off, and it alone; and its key is no more", async () => {
    const ref = await volume("fenced", "node-lost");
    const other = await publish(world.engine, ref.volumeId, publicationOf("node-b"));
    const [lost, kept] = [await mounted(ref), await mounted(other)];
    writeFileSync(join(lost, "before"), "x");
    await world.engine.unpublish(context(), ref.volumeId, "node-lost");
    expect(() => writeFileSync(join(lost, "after"), "x")).toThrow();
    writeFileSync(join(kept, "after"), "y");
    expect(readdirSync(kept).sort()).toEqual(["after", "before"]);
    await expect(attacher.prove(context(), ref)).rejects.toMatchObject({ code: "failed-precondition" });
    const again = attacher.mount(context(), ref, { path: world.folder(), readonly: false, flags: [] });
    await expect(again).rejects.toMatchObject({ code: "failed-precondition", message: /not published/ });
    expect(await attacher.problem(context(), ref, "x")).toMatch(/not published/);
    await attacher.unmount(context(), ref, lost);
    await attacher.unmount(context(), other, kept);
    await gone(ref);
  });
});

describe("a ceph-fuse that was killed", () => {
  it("is told, its mount can be taken away, and the volume mounted again with all that was synced", async () => {
    const ref = await volume("killed");
    const fuse = world.attacher({ mounter: "fuse" });
    const path = world.folder();
    await fuse.mount(context(), ref, { path, readonly: false, flags: [] });
    writeFileSync(join(path, "file"), "synced", { flush: true });
    const identity = await fuse.prove(context(), ref);
    for (const pid of fuseProcesses(identity)) process.kill(pid, "SIGKILL");
    await vi.waitFor(() => expect(fuseProcesses(identity)).toEqual([]));
    expect(() => readdirSync(path)).toThrow();
    expect(await fuse.problem(context(), ref, identity)).toMatch(/ceph-fuse has ended/);
    const presence = { devices: [], owns: (entry: MountEntry) => fuse.owns(entry, ref, identity) };
    expect((await lookAt(path, presence)).type).toBe("mount");
    await fuse.unmount(context(), ref, path);
    expect((await lookAt(path, presence)).type).toBe("nothing");
    await fuse.mount(context(), ref, { path, readonly: false, flags: [] });
    expect(readFileSync(join(path, "file"), "utf8")).toBe("synced");
    await fuse.unmount(context(), ref, path);
    await gone(ref);
  });
});

describe("bad input", () => {
  it.each([
    ["path", "/a,b/c"],
    ["path", "volumes"],
    ["userId", "x,secret=y"],
    ["filesystem", ""],
    ["mounter", "nfs"],
    ["keyNamespace", "a b"],
  ])("a publish context whose %s is %j is refused by name", async (field, value) => {
    const publishContext = {
      ...{ cluster: "main", filesystem: "cephfs", path: "/volumes/g/v/u", userId: "u" },
      ...{ keyPool: "p", keyNamespace: "n", keyObject: "o", readonly: "false", mounter: "" },
      [field]: value,
    };
    const ref = { volumeId: "g1-f-v-main.1-0-0", publishContext };
    await expect(attacher.prove(context(), ref)).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringContaining(field) as string,
    });
  });

  it("a cluster that this node does not know, and a flag that the mount does not take", async () => {
    const ref = await volume("strange");
    const unknown = { ...ref, publishContext: { ...ref.publishContext, cluster: "other" } };
    await expect(attacher.prove(context(), unknown)).rejects.toThrow(/clusters/);
    const path = world.folder();
    const at = { path, readonly: false, flags: ["no-such-flag=secretword"] };
    const refused = attacher.mount(context(), ref, at);
    await expect(refused).rejects.toMatchObject({ message: expect.not.stringContaining("secretword") as string });
    expect(await mountAt(path)).toBeUndefined();
    await gone(ref);
  });
});

describe("a hung tool", () => {
  it("ends with its request, and the next call works", async () => {
    const ref = await volume("hangs");
    const hung = world.attacher({
      exec: (program, args, options) =>
        /ceph-fuse$|^mount$/.test(program) ? exec("sleep", ["600"], options) : exec(program, args, options),
    });
    const path = world.folder();
    const stuck = hung.mount(context(3_000), ref, { path, readonly: false, flags: [] });
    await expect(stuck).rejects.toMatchObject({ code: "deadline-exceeded" });
    await attacher.mount(context(), ref, { path, readonly: false, flags: [] });
    await attacher.unmount(context(), ref, path);
    await gone(ref);
  });
});
