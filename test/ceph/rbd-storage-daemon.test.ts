import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeRef } from "../../src/engines/attacher.js";
import { type AttacherWorld, context, fails, MIB, makeAttacherWorld, mounted, sh } from "./attacher-world.js";

let world: AttacherWorld;
beforeAll(() => {
  world = makeAttacherWorld("qemu-storage-daemon");
});
afterAll(() => world.remove());

/** The processes that serve images of this world. */
const daemons = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${world.stateDir}/`);
      } catch {
        return false;
      }
    });
const hasDaemons = () => daemons().length > 0;
const watchers = (ref: NodeRef) =>
  (
    JSON.parse(world.place.rbd("status", "--format", "json", world.spec(ref))) as { watchers: { address: string }[] }
  ).watchers.map(({ address }) => address);
const blocklisted = () => world.place.ceph("osd", "blocklist", "ls");
const detachAll = async (ref: NodeRef, identity: string) =>
  world.attacher.detach(context(), await world.attacher.devices(context(), ref, identity));
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe("the process that serves an image", () => {
  it("is in a session of its own, and nobody's child", async () => {
    const ref = world.image("session");
    const { identity } = await world.attacher.attach(context(), ref, false);
    for (const pid of daemons()) {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      expect(Number(fields[1])).not.toBe(process.pid);
      expect(Number(fields[3])).not.toBe(Number(sh("ps", "-o", "sid=", "-p", String(process.pid))));
    }
    await detachAll(ref, identity);
    expect(daemons()).toEqual([]);
  });

  it("killed under a mount: refused while that is there; then attached anew without a wait, and nothing synced is lost", async () => {
    const { attacher, place } = world;
    const ref = world.image("killed", 128);
    const { device, identity } = await attacher.attach(context(), ref, false);
    const before = blocklisted();
    sh("mkfs.ext4", "-q", "-E", "nodiscard", device);
    const path = mounted(world, device);
    const data = randomBytes(4 * MIB);
    writeFileSync(join(path, "file"), data, { flush: true });
    const [dead] = watchers(ref);
    for (const pid of daemons()) process.kill(pid, "SIGKILL");
    await until(() => !hasDaemons());
    await expect(attacher.attach(context(), ref, false)).rejects.toMatchObject({ code: "failed-precondition" });
    await world.again().heal?.(context(), [{ ref, identity }]);
    expect((await attacher.devices(context(), ref, identity)).map((one) => one.device)).toEqual([device]);
    sh("umount", path);
    await detachAll(ref, identity);
    expect(await attacher.devices(context(), ref, identity)).toEqual([]);

    expect(watchers(ref)).toEqual([dead]);
    const back = await world.again().attach(context(), ref, false);
    const again = mounted(world, back.device);
    expect(readFileSync(join(again, "file")).equals(data)).toBe(true);
    writeFileSync(join(again, "more"), data, { flush: true });
    // The dead client alone was cut off.
    const added = blocklisted()
      .split("\n")
      .filter((line) => !before.includes(line));
    expect(added).toHaveLength(1);
    expect(added[0]).toContain(dead);
    sh("umount", again);
    await detachAll(ref, identity);
    place.ceph("osd", "blocklist", "rm", dead ?? "");
  });

  it("frozen: a look at the node's devices does not wait for it", async () => {
    const ref = world.image("frozen");
    const { device, identity } = await world.attacher.attach(context(), ref, false);
    for (const pid of daemons()) process.kill(pid, "SIGSTOP");
    try {
      expect(await world.attacher.devices(context(2_000), ref, identity)).toHaveLength(1);
      await expect(world.attacher.attach(context(1_000), ref, false)).rejects.toMatchObject({
        code: "deadline-exceeded",
      });
    } finally {
      for (const pid of daemons()) process.kill(pid, "SIGCONT");
    }
    expect((await world.attacher.attach(context(), ref, false)).device).toBe(device);
    await detachAll(ref, identity);
  });
});

describe("heal", () => {
  it("detaches what no record names and nothing has mounted; keeps what one names, and what is mounted", async () => {
    const { attacher } = world;
    const [lost, known, used] = ["lost", "known", "used"].map((name) => world.image(name)) as [
      NodeRef,
      NodeRef,
      NodeRef,
    ];
    const devices = [];
    for (const ref of [lost, known, used]) devices.push(await attacher.attach(context(), ref, false));
    const [, keeps, mounts] = devices;
    if (!keeps || !mounts) throw new Error("nothing is attached");
    sh("mkfs.ext4", "-q", "-E", "nodiscard", mounts.device);
    const path = mounted(world, mounts.device);
    await world.again().heal?.(context(), [{ ref: known, identity: keeps.identity }]);
    expect(await attacher.devices(context(), lost, undefined)).toEqual([]);
    expect(await attacher.devices(context(), known, undefined)).toHaveLength(1);
    expect(await attacher.devices(context(), used, undefined)).toHaveLength(1);
    writeFileSync(join(path, "file"), randomBytes(MIB), { flush: true });
    sh("umount", path);
    await world.again().heal?.(context(), []);
    expect(readdirSync(world.stateDir)).toEqual([]);
    expect(daemons()).toEqual([]);
  });

  it("takes away what a dead process left", async () => {
    const ref = world.image("left");
    const { identity } = await world.attacher.attach(context(), ref, false);
    for (const pid of daemons()) process.kill(pid, "SIGKILL");
    await until(() => !hasDaemons());
    await world.again().heal?.(context(), [{ ref, identity }]);
    expect(await world.attacher.devices(context(), ref, identity)).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(world.stateDir);
    const { device } = await world.attacher.attach(context(), ref, false);
    expect(statSync(device).isBlockDevice()).toBe(true);
    await detachAll(ref, identity);
  });
});

describe("a client that was fenced", () => {
  it("writes nothing more; once unmounted, the volume is attached anew by another client", async () => {
    const { attacher, place } = world;
    const ref = world.image("fenced");
    const other = world.image("not-fenced");
    const { device, identity } = await attacher.attach(context(), ref, false);
    const kept = await attacher.attach(context(), other, false);
    const write = (to: string) =>
      fails("dd", "if=/dev/zero", `of=${to}`, "bs=4096", "count=1", "oflag=direct", "conv=fsync");
    expect(write(device)).toBe(false);
    const [client = ""] = watchers(ref);
    place.ceph("osd", "blocklist", "add", client, "600");
    expect(write(device)).toBe(true);
    // Each image has a client of its own.
    expect(write(kept.device)).toBe(false);
    const back = await attacher.attach(context(), ref, false);
    expect(back.identity).toBe(identity);
    expect(write(back.device)).toBe(false);
    expect(await attacher.devices(context(), ref, identity)).toHaveLength(1);
    await detachAll(ref, identity);
    await detachAll(other, kept.identity);
    place.ceph("osd", "blocklist", "rm", client);
    expect(readdirSync(world.stateDir)).toEqual([]);
  });
});
