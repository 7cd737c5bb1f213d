import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { block, bytes, type Calls, callsOf, fromSnapshot, type Made, MIB } from "./csi-requests.js";
import { failureOf, makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "./server-harness.js";

let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  csi = callsOf(server.client, sandbox);
});

afterAll(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

const getGroup = (group_snapshot_id: string, snapshot_ids: string[] = []) =>
  server.client.call("GroupController", "GetVolumeGroupSnapshot", { group_snapshot_id, snapshot_ids });
const removeGroup = (group_snapshot_id: string, snapshot_ids: string[] = []) =>
  server.client.call("GroupController", "DeleteVolumeGroupSnapshot", { group_snapshot_id, snapshot_ids });
const listed = async () => {
  const { entries } = await server.client.call("Controller", "ListSnapshots", {});
  return (entries ?? []).map((entry) => entry.snapshot?.snapshot_id ?? "").sort();
};
const onDisk = () => readdirSync(join(sandbox.poolDir, "snapshots")).sort();
const GONE = `g1-l-v-${"0".repeat(24)}`;

describe("CreateVolumeGroupSnapshot", () => {
  it("one snapshot a member, in one group; the same again: OK; other members: ALREADY_EXISTS", async () => {
    const ids = [(await csi.create("one")).volume_id, (await csi.create("two")).volume_id];
    const group = await csi.group("pair", ids);
    expect(group.ready_to_use).toBe(true);
    expect(group.snapshots?.map((s) => s.source_volume_id).sort()).toEqual([...ids].sort());
    for (const snapshot of group.snapshots ?? []) expect(snapshot.group_snapshot_id).toBe(group.group_snapshot_id);
    expect(await csi.group("pair", [...ids].reverse())).toEqual(group);
    expect((await failureOf(csi.group("pair", ids.slice(1)))).code).toBe("ALREADY_EXISTS");
    expect((await getGroup(group.group_snapshot_id ?? "")).group_snapshot).toEqual(group);
    await removeGroup(group.group_snapshot_id ?? "");
    expect([await listed(), onDisk()]).toEqual([[], []]);
  });

  it("rule 31: write-order consistent over its members: the second never is ahead of the first", async () => {
    const [first, second] = [await csi.create("order-a"), await csi.create("order-b")];
    const files = [];
    for (const one of [first, second]) {
      const path = join(await csi.attach(one), "counter");
      writeFileSync(path, "");
      files.push(path);
    }
    // Each number is on disk in the first volume before it is written to the second.
    const writer = spawn(
      process.execPath,
      [
        "-e",
        `const fs = require("node:fs");
         const files = process.argv.slice(1).map((path) => fs.openSync(path, "r+"));
         for (let i = 1; ; i++) for (const file of files) {
           fs.writeSync(file, String(i).padStart(12, "0"), 0);
           fs.fsyncSync(file);
         }`,
        ...files,
      ],
      { stdio: "ignore" },
    );
    const exited = once(writer, "exit");
    const groups = [];
    try {
      while (readFileSync(files[1] ?? "", "utf8") === "") await new Promise((resolve) => setTimeout(resolve, 5));
      for (let i = 0; i < 8; i++) groups.push(await csi.group(`order-${i}`, [first.volume_id, second.volume_id]));
    } finally {
      writer.kill("SIGKILL");
      await exited;
    }
    for (const one of [first, second]) await csi.detach(one.volume_id);
    const counters: number[][] = [];
    for (const group of groups) {
      const pair = [];
      for (const one of [first, second]) {
        const cut = group.snapshots?.find((s) => s.source_volume_id === one.volume_id);
        pair.push(
          await counterIn(
            await csi.create(`restored ${cut?.snapshot_id}`, {
              volume_content_source: fromSnapshot(cut?.snapshot_id ?? ""),
            }),
          ),
        );
      }
      counters.push(pair);
    }
    for (const [a = 0, b = 0] of counters) {
      expect(b).toBeGreaterThan(0);
      expect(a - b === 0 || a - b === 1).toBe(true);
    }
    // Writing went on between the groups: the members were thawed.
    expect(counters.at(-1)?.[0]).toBeGreaterThan(counters[0]?.[0] ?? Number.POSITIVE_INFINITY);
    for (const group of groups) await removeGroup(group.group_snapshot_id ?? "");
  });

  async function counterIn(volume: Made): Promise<number> {
    const counter = Number(readFileSync(join(await csi.attach(volume), "counter"), "utf8"));
    await csi.detach(volume.volume_id);
    await csi.remove(volume.volume_id);
    return counter;
  }

  it("rule 31: one member fails: the call fails, with nothing left, and no member frozen", async () => {
    const members = [await csi.create("fails-a"), await csi.create("fails-b"), await csi.create("fails-c")];
    for (const one of members) await csi.attach(one);
    // The last in the order of the cut, so that others were copied before it.
    const last = [...members].sort((a, b) => (a.volume_id < b.volume_id ? -1 : 1)).at(-1) as Made;
    const image = csi.image(last.volume_id);
    renameSync(image, `${image}.away`);
    const ids = members.map((one) => one.volume_id);
    const failure = await failureOf(csi.group("fails", ids));
    expect(failure).toEqual({ code: "FAILED_PRECONDITION", details: expect.stringContaining("missing") as string });
    expect([await listed(), onDisk()]).toEqual([[], []]);
    for (const one of members) {
      writeFileSync(join(csi.staging(one.volume_id), "still-writable"), "yes", { flush: true });
    }
    renameSync(`${image}.away`, image);
    expect((await csi.group("fails", ids)).snapshots).toHaveLength(3);
    for (const one of members) await csi.detach(one.volume_id);
  });

  it("a raw member in use, whose writers cannot be held: FAILED_PRECONDITION, nothing left; idle, or alone: OK", async () => {
    const raw = await csi.create("raw-member", { volume_capabilities: [block()] });
    const other = await csi.create("raw-other");
    await csi.attach(raw, block());
    const left = async () => [(await csi.listSnapshots()).entries, readdirSync(join(sandbox.poolDir, "snapshots"))];
    const before = await left();
    const failure = await failureOf(csi.group("raw-group", [raw.volume_id, other.volume_id]));
    expect(failure).toEqual({ code: "FAILED_PRECONDITION", details: expect.stringMatching(/raw device/) as string });
    expect(await left()).toEqual(before);
    await csi.removeSnapshot((await csi.snapshot("raw-alone", raw.volume_id)).snapshot_id ?? "");
    await csi.detach(raw.volume_id);
    const group = await csi.group("raw-group", [raw.volume_id, other.volume_id]);
    expect(group.snapshots).toHaveLength(2);
    await csi.removeGroup(group.group_snapshot_id ?? "");
    for (const { volume_id } of [raw, other]) await csi.remove(volume_id);
  });

  it("a member that does not exist: NOT_FOUND; none at all, or an empty id: INVALID_ARGUMENT", async () => {
    const { volume_id } = await csi.create("member");
    const before = onDisk();
    expect((await failureOf(csi.group("missing", [volume_id, GONE]))).code).toBe("NOT_FOUND");
    for (const ids of [[], [""], [volume_id, ""]])
      expect((await failureOf(csi.group("missing", ids))).code).toBe("INVALID_ARGUMENT");
    expect(onDisk()).toEqual(before);
  });
});

describe("GetVolumeGroupSnapshot, DeleteVolumeGroupSnapshot", () => {
  it("rule 31: mismatched snapshot ids: INVALID_ARGUMENT, and nothing is deleted", async () => {
    const { volume_id } = await csi.create("mismatch");
    const group = await csi.group("mismatch", [volume_id]);
    const alone = await csi.snapshot("mismatch-alone", volume_id);
    const id = group.group_snapshot_id ?? "";
    const members = group.snapshots?.map((s) => s.snapshot_id ?? "") ?? [];
    for (const wrong of [[alone.snapshot_id ?? ""], [...members, alone.snapshot_id ?? ""], ["not-ours"]]) {
      expect((await failureOf(getGroup(id, wrong))).code).toBe("INVALID_ARGUMENT");
      expect((await failureOf(removeGroup(id, wrong))).code).toBe("INVALID_ARGUMENT");
    }
    expect((await getGroup(id, members)).group_snapshot).toEqual(group);
    await removeGroup(id, members);
    await removeGroup(id, members);
    expect((await failureOf(getGroup(id))).code).toBe("NOT_FOUND");
    expect(existsSync(join(sandbox.poolDir, "snapshots", members[0] ?? ""))).toBe(false);
    expect(await listed()).toContain(alone.snapshot_id);
  });

  it("a group's members stay usable when their volume is gone", async () => {
    const one = await csi.create("survives", { capacity_range: bytes(32 * MIB) });
    writeFileSync(join(await csi.attach(one), "data"), "kept", { flush: true });
    const group = await csi.group("survives", [one.volume_id]);
    await csi.detach(one.volume_id);
    await csi.remove(one.volume_id);
    const restored = await csi.create("survivor", {
      volume_content_source: fromSnapshot(group.snapshots?.[0]?.snapshot_id ?? ""),
    });
    expect(readFileSync(join(await csi.attach(restored), "data"), "utf8")).toBe("kept");
    await csi.detach(restored.volume_id);
  });
});
