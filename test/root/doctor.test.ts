import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Finding } from "../../src/model/finding.js";
import { block, type Calls, callsOf, fromSnapshot, type Made, tool } from "./csi-requests.js";
import { listing, loopsOn, withFile } from "./data-dir-damage.js";
import { granary, makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "./server-harness.js";

const EPHEMERAL = "csi-0123456789abcdef0123456789abcdef";
let sandbox: Sandbox;
let server: TestServer | undefined;
let calls: Calls;
let mounted: Made;
let raw: Made;
let idle: Made;
let restored: Made;
let snapshotId = "";
let groupId = "";

interface Report {
  findings: Finding[];
  inProgress: Finding[];
  volumes: number;
  snapshots: number;
  loops: number;
  mounts: number;
}

/** `granary doctor`, proven to change nothing in the data dir, the loop devices and the mounts. */
function doctor(...flags: string[]): Report & { code: number | null } {
  // Other tests may attach and mount on this host at the same time.
  const ours = (text: string) => text.split("\n").filter((line) => line.includes(`${sandbox.dir}/`));
  const seen = () => [
    ...listing(sandbox.dataDir),
    ...ours(tool("losetup", "-l", "-n", "--raw")),
    ...ours(fs.readFileSync("/proc/self/mountinfo", "utf8")),
  ];
  const before = seen();
  const { code, stdout, stderr } = granary(["doctor", "-o", "json", ...base(), ...flags]);
  expect(stderr).toBe("");
  expect(seen()).toEqual(before);
  return { ...(JSON.parse(stdout) as Report), code };
}

const base = () => ["--data-dir", sandbox.dataDir];
const volumeDir = (volume: Made) => join(sandbox.poolDir, "volumes", volume.volume_id);
const nodeRecord = (volume: Made) => join(sandbox.dataDir, "node", `${volume.volume_id}.json`);
const loopOf = (volume: Made) => loopsOn(join(volumeDir(volume), "image"))[0] ?? "";
/** Changes the registry's tables by hand, as no call of ours does. */
async function editRegistry(table: string, key: string, change: (value: string | undefined) => string | undefined) {
  const root = open({ path: join(sandbox.dataDir, "registry"), encoding: "string", maxDbs: 8, noSubdir: false });
  const rows = root.openDB<string, string>({ name: table, encoding: "string" });
  const value = change(rows.get(key));
  if (value === undefined) await rows.remove(key);
  else await rows.put(key, value);
  await root.close();
}

function expectFinding(
  report: Report & { code: number | null },
  severity: "error" | "warning",
  check: string,
  where: string,
) {
  const found = report.findings.filter((finding) => finding.check === check && finding.where === where);
  expect(found, JSON.stringify(report.findings, null, 1)).toHaveLength(1);
  expect(found[0]?.severity).toBe(severity);
  expect(found[0]?.what).not.toBe("");
  expect(found[0]?.next).not.toBe("");
  expect(report.code).toBe(report.findings.some((finding) => finding.severity === "error") ? 1 : 0);
}

beforeAll(async () => {
  sandbox = makeSandbox(1024 ** 3);
  server = await startServer(sandbox);
  calls = callsOf(server.client, sandbox);
  mounted = await calls.create("mounted");
  await calls.attach(mounted);
  await calls.publish(mounted);
  raw = await calls.create("raw", { volume_capabilities: [block()] });
  await calls.attach(raw, block());
  await calls.publish(raw, {}, "a", block());
  idle = await calls.create("idle");
  snapshotId = (await calls.snapshot("snap", mounted.volume_id)).snapshot_id ?? "";
  restored = await calls.create("restored", { volume_content_source: fromSnapshot(snapshotId) });
  groupId = (await calls.group("group", [mounted.volume_id, idle.volume_id])).group_snapshot_id ?? "";
  await calls.publish({
    volume_id: EPHEMERAL,
    volume_context: { "csi.storage.k8s.io/ephemeral": "true", size: "32Mi" },
  });
});

afterAll(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

describe("granary doctor, beside a running server", () => {
  it("says that nothing is wrong, and what it looked at", () => {
    const skipLock = (name: string) => name.startsWith("pool/.probe");
    const before = listing(sandbox.dataDir, skipLock);
    const { code, stdout, stderr } = granary(["doctor", ...base()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe("no problem found: 4 volumes, 3 snapshots, 3 loop devices, 4 mounts checked\n");
    expect(listing(sandbox.dataDir, skipLock)).toEqual(before);
  });

  it("reports what stays", () => {
    const orphan = join(sandbox.poolDir, "volumes", "left-over");
    fs.mkdirSync(orphan);
    try {
      expectFinding(doctor(), "error", "orphan", orphan);
    } finally {
      fs.rmdirSync(orphan);
    }
  });

  it("an operation that goes on between its two looks is no finding", async () => {
    let going = true;
    const work = (async () => {
      for (let i = 0; going; i++) await calls.remove((await calls.create(`busy-${i}`)).volume_id);
    })();
    const main = join(import.meta.dirname, "../../dist/src/main.js");
    const { code, stdout } = await new Promise<{ code: number; stdout: string }>((resolve) => {
      execFile(process.execPath, [main, "doctor", "-o", "json", ...base()], (error, stdout) =>
        resolve({ code: error ? 1 : 0, stdout }),
      );
    });
    going = false;
    await work;
    expect((JSON.parse(stdout) as Report).findings).toEqual([]);
    expect(code).toBe(0);
  });
});

describe("granary doctor, with the server stopped", () => {
  beforeAll(async () => {
    await server?.stop();
    server = undefined;
  });

  // Whatever the test before it damaged is whole again: no finding is a leftover.
  beforeEach(() => {
    const { findings, inProgress, ...rest } = doctor();
    expect({ findings, inProgress }).toEqual({ findings: [], inProgress: [] });
    expect(rest).toEqual({ code: 0, volumes: 4, snapshots: 3, loops: 3, mounts: 4 });
  });

  it.each([
    ["volume", () => join(sandbox.poolDir, "volumes", idle.volume_id), () => idle.volume_id],
    ["snapshot", () => join(sandbox.poolDir, "snapshots", snapshotId), () => snapshotId],
  ])("%s without its image", (_kind, dir, id) => {
    fs.renameSync(dir(), `${sandbox.poolDir}/aside`);
    try {
      expectFinding(doctor(), "error", "image-missing", id());
    } finally {
      fs.renameSync(`${sandbox.poolDir}/aside`, dir());
    }
  });

  it.each(["volumes", "snapshots"])("a folder in %s that no record owns", (kind) => {
    const orphan = join(sandbox.poolDir, kind, `g1-l-${kind[0]}-${"0".repeat(24)}`);
    fs.mkdirSync(orphan);
    try {
      expectFinding(doctor(), "error", "orphan", orphan);
    } finally {
      fs.rmdirSync(orphan);
    }
  });

  it.each([-4096, 4096])("an image whose size differs by %i bytes", (difference) => {
    const image = join(volumeDir(idle), "image");
    const { size } = fs.statSync(image);
    fs.truncateSync(image, size + difference);
    try {
      expectFinding(doctor(), "error", "size-differs", idle.volume_id);
    } finally {
      fs.truncateSync(image, size);
    }
  });

  it("a file beside an image that does not belong there", async () => {
    const path = join(volumeDir(idle), "format.json.tmp");
    await withFile(path, "{", () => expectFinding(doctor(), "warning", "stray-file", path));
  });

  it.each([
    ["damaged", "error", "format-damaged", "{"],
    ["for another volume", "error", "format-foreign", '{"state":"raw","volumeId":"g1-l-v-other"}'],
  ] as const)("a format record that is %s", async (_how, severity, check, text) => {
    const path = join(volumeDir(mounted), "format.json");
    await withFile(path, text, () => expectFinding(doctor(), severity, check, mounted.volume_id));
  });

  it.each([
    ["formatting", "warning", "format-interrupted", { state: "formatting" }],
    ["of another filesystem", "error", "format-differs", { fsType: "xfs" }],
  ] as const)("a format record %s", async (_how, severity, check, change) => {
    const path = join(volumeDir(mounted), "format.json");
    const record = JSON.parse(fs.readFileSync(path, "utf8")) as object;
    const text = JSON.stringify({ ...record, ...change });
    await withFile(path, text, () => expectFinding(doctor(), severity, check, mounted.volume_id));
  });

  it("copies without a format record", async () => {
    await withFile(join(volumeDir(restored), "format.json"), undefined, () =>
      expectFinding(doctor(), "warning", "format-missing", restored.volume_id),
    );
    await withFile(join(sandbox.poolDir, "snapshots", snapshotId, "format.json"), undefined, () =>
      expectFinding(doctor(), "warning", "format-missing", snapshotId),
    );
  });

  /** The registry changed by hand, and its file put back after. */
  async function damaged(
    table: string,
    key: string,
    change: (value: string | undefined) => string | undefined,
    severity: "error" | "warning",
    check: string,
    where: string,
  ): Promise<void> {
    const file = join(sandbox.dataDir, "registry", "data.mdb");
    fs.copyFileSync(file, `${sandbox.dir}/data.mdb`);
    try {
      await editRegistry(table, key, change);
      expectFinding(doctor(), severity, check, where);
    } finally {
      fs.copyFileSync(`${sandbox.dir}/data.mdb`, file);
    }
  }
  const gone = () => undefined;

  it("a volume, a snapshot and a group without their names", async () => {
    await damaged("names", "volume:idle", gone, "error", "name-missing", idle.volume_id);
    await damaged("names", "snapshot:snap", () => idle.volume_id, "error", "name-missing", snapshotId);
    await damaged("names", "group:group", gone, "error", "name-missing", groupId);
  });

  it("a name that stands for nothing", () =>
    damaged("names", "volume:ghost", () => "g1-l-v-ghost", "error", "name-dangling", "volume:ghost"));

  it("a snapshot of an unknown group, and a group without a member", async () => {
    await damaged("groups", groupId, gone, "error", "name-dangling", "group:group");
    const inGroup = (text = "") => text.replace('"groupId":""', '"groupId":"g1-l-g-none"');
    await damaged("snapshots", snapshotId, inGroup, "error", "group-unknown", snapshotId);
    const more = (text = "") => text.replace('"snapshotIds":[', '"snapshotIds":["g1-l-s-none",');
    await damaged("groups", groupId, more, "error", "group-incomplete", groupId);
  });

  it("a single-node volume that is published to two nodes", () => {
    const twice = (text = "") => {
      const volume = JSON.parse(text) as { publications: object[] };
      return JSON.stringify({
        ...volume,
        publications: volume.publications.flatMap((p) => [p, { ...p, nodeId: "b" }]),
      });
    };
    return damaged("volumes", mounted.volume_id, twice, "error", "published-twice", mounted.volume_id);
  });

  it("a registry whose rows cannot be read", () =>
    damaged("volumes", idle.volume_id, () => "{", "error", "registry-damaged", join(sandbox.dataDir, "registry")));

  it("an intent that was interrupted", () => {
    const id = `g1-l-v-${"1".repeat(24)}`;
    const intent = () => JSON.stringify({ op: "create-volume", volumeId: id });
    return damaged("intents", `create-volume:${id}`, intent, "error", "intent-pending", `create-volume:${id}`);
  });

  it("a volume that the node uses and the registry does not know: record, device and image", async () => {
    const id = mounted.volume_id;
    await damaged("volumes", id, gone, "error", "node-record-unknown", id);
    await damaged("volumes", id, gone, "error", "loop-orphan", loopOf(mounted));
    await damaged("volumes", id, gone, "error", "orphan", volumeDir(mounted));
  });

  it("a staged volume that is published to no node", () => {
    const none = (text = "") => JSON.stringify({ ...(JSON.parse(text) as object), publications: [] });
    return damaged("volumes", mounted.volume_id, none, "warning", "staged-unpublished", mounted.volume_id);
  });

  it("a loop device and mounts that no node record knows", () =>
    withFile(nodeRecord(mounted), undefined, () => {
      const report = doctor();
      expectFinding(report, "error", "loop-unknown", loopOf(mounted));
      expectFinding(report, "error", "mount-unknown", calls.staging(mounted.volume_id));
      expectFinding(report, "error", "mount-unknown", calls.target(mounted.volume_id));
    }));

  it("a raw device's bind mount that no node record knows", () =>
    withFile(nodeRecord(raw), undefined, () =>
      expectFinding(doctor(), "error", "mount-unknown", calls.target(raw.volume_id)),
    ));

  it("a node record that is damaged, and one that is none", async () => {
    await withFile(nodeRecord(raw), "{", () =>
      expectFinding(doctor(), "error", "node-record-damaged", nodeRecord(raw)),
    );
    const stray = join(sandbox.dataDir, "node", "notes.txt");
    await withFile(stray, "", () => expectFinding(doctor(), "warning", "stray-file", stray));
  });

  it("a stage and a target that are recorded and not there", async () => {
    const record = JSON.parse(fs.readFileSync(nodeRecord(mounted), "utf8")) as Record<"stages" | "targets", object>;
    const [place] = Object.values(record.targets) as object[];
    const nowhere = join(sandbox.dir, "nowhere");
    const withPlace = (part: "stages" | "targets") =>
      JSON.stringify({ ...record, [part]: { ...record[part], [nowhere]: place } });
    await withFile(nodeRecord(mounted), withPlace("stages"), () =>
      expectFinding(doctor(), "error", "stage-missing", nowhere),
    );
    await withFile(nodeRecord(mounted), withPlace("targets"), () =>
      expectFinding(doctor(), "error", "target-missing", nowhere),
    );
  });

  it("mounts stacked on one path", () => {
    const target = calls.target(mounted.volume_id);
    tool("mount", "--bind", calls.staging(mounted.volume_id), target);
    try {
      expectFinding(doctor(), "error", "mount-stacked", target);
    } finally {
      tool("umount", target);
    }
  });

  it("an ephemeral volume that is mounted nowhere", () => {
    const folder = join(sandbox.dataDir, "node", "ephemeral", "csi-00000000000000000000000000000000");
    fs.mkdirSync(folder);
    try {
      expectFinding(doctor(), "error", "ephemeral-unmounted", "csi-00000000000000000000000000000000");
    } finally {
      fs.rmdirSync(folder);
    }
  });

  /** A device attached by hand for the time of `work`. */
  function withLoop(image: string, work: (device: string) => void): void {
    const device = tool("losetup", "--find", "--show", "--read-only", image).trim();
    try {
      work(device);
    } finally {
      tool("losetup", "--detach", device);
    }
  }

  it("loop devices on a snapshot, on a volume that is not staged, and twice on one image", () => {
    withLoop(join(sandbox.poolDir, "snapshots", snapshotId, "image"), (device) =>
      expectFinding(doctor(), "error", "loop-foreign", device),
    );
    const image = join(volumeDir(idle), "image");
    withLoop(image, (first) => {
      expectFinding(doctor(), "error", "loop-unknown", first);
      withLoop(image, (second) => {
        const later = loopsOn(image).at(-1) ?? "";
        expect([first, second]).toContain(later);
        expectFinding(doctor(), "error", "loop-twice", later);
      });
    });
  });

  it("loop devices whose image is deleted, or is another file by now", () => {
    const dir = join(sandbox.poolDir, "volumes", idle.volume_id);
    fs.copyFileSync(join(dir, "image"), `${dir}/other`);
    withLoop(join(dir, "other"), (device) => {
      fs.rmSync(join(dir, "other"));
      expectFinding(doctor(), "error", "loop-deleted", device);
    });
    withLoop(join(dir, "image"), (device) => {
      fs.renameSync(join(dir, "image"), join(sandbox.poolDir, "image"));
      fs.copyFileSync(join(sandbox.poolDir, "image"), join(dir, "image"));
      // The kernel follows the attached file to its new name; what it is now is no volume's image.
      expectFinding(doctor(), "error", "loop-foreign", device);
      fs.renameSync(join(sandbox.poolDir, "image"), join(dir, "image"));
      // Another file mounted over the image: the path is the same, and what it leads to is not.
      const other = join(sandbox.dir, "other");
      fs.copyFileSync(join(dir, "image"), other);
      tool("mount", "--bind", other, join(dir, "image"));
      try {
        expectFinding(doctor(), "error", "loop-replaced", device);
      } finally {
        tool("umount", join(dir, "image"));
      }
    });
  });

  it("a server file and a socket that a killed server left", async () => {
    const path = join(sandbox.dataDir, "server.json");
    const socket = join(sandbox.dataDir, "csi.sock");
    await withFile(path, "{", () => expectFinding(doctor(), "warning", "stale-server-file", path));
    const dead = JSON.stringify({ pid: 1, startTicks: "none", csiEndpoint: `unix://${socket}` });
    await withFile(path, dead, () => expectFinding(doctor(), "warning", "stale-server-file", path));
    const made = startedAndKilled(socket);
    expect(made).toBe(true);
    try {
      expectFinding(doctor(), "warning", "stale-server-file", socket);
    } finally {
      fs.rmSync(socket);
    }
  });

  /** A socket whose listener is gone: what SIGKILL leaves. */
  function startedAndKilled(path: string): boolean {
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
    try {
      tool(process.execPath, "-e", script);
    } catch {
      return fs.existsSync(path);
    }
    return false;
  }

  it("a pool that is low on space, read-only, not mounted, missing, unfinished", async () => {
    const config = join(sandbox.dir, "config.yaml");
    fs.writeFileSync(config, "lowSpaceRatio: 0.5\n");
    const filler = join(sandbox.poolDir, "filler");
    tool("fallocate", "--length", "700M", filler);
    expectFinding(doctor("--config", config), "warning", "pool-low-space", sandbox.poolDir);
    fs.rmSync(filler);
    const missing = join(sandbox.dir, "no-such-pool");
    expectFinding(doctor("--pool-dir", missing), "error", "pool-missing", missing);
    expect(fs.existsSync(missing)).toBe(false);
    const record = join(sandbox.dataDir, "pool.json");
    const text = (state: string) =>
      JSON.stringify({ version: 1, state, type: "file", path: "/nowhere/pool.img", uuid: "x" });
    await withFile(record, text("formatted"), () => {
      const report = doctor();
      expectFinding(report, "error", "pool-not-mounted", sandbox.poolDir);
      expect(report.findings.some(({ check }) => check === "image-missing")).toBe(false);
    });
    await withFile(record, text("formatting"), () =>
      expectFinding(doctor(), "error", "pool-unfinished", sandbox.poolDir),
    );
    await withFile(record, "{", () => expectFinding(doctor(), "error", "pool-record-damaged", sandbox.poolDir));
  });

  it("a read-only pool", () => {
    // A bind mount of the pool: the pool's own file system is busy with writable loop devices.
    const shown = join(sandbox.dir, "shown");
    fs.mkdirSync(shown);
    tool("mount", "--bind", sandbox.poolDir, shown);
    try {
      tool("mount", "-o", "remount,bind,ro", shown);
      expectFinding(doctor("--pool-dir", shown), "error", "pool-read-only", shown);
    } finally {
      tool("umount", shown);
    }
  });

  it("a data dir without a registry, and one that does not exist, which stays so", () => {
    const empty = join(sandbox.dir, "empty");
    fs.mkdirSync(empty);
    const report = granary(["doctor", "--data-dir", empty]);
    expect(report.code).toBe(1);
    expect(report.stdout).toContain("there is no registry in it");
    expect(fs.readdirSync(empty)).toEqual([]);
    const missing = join(sandbox.dir, "missing");
    const none = granary(["doctor", "--data-dir", missing]);
    expect(none.code).toBe(1);
    expect(none.stdout).toContain("the data dir does not exist");
    expect(fs.existsSync(missing)).toBe(false);
  });

  it("an output format that it does not know is refused", () => {
    const { code, stderr } = granary(["doctor", ...base(), "-o", "xml"]);
    expect(code).toBe(1);
    expect(stderr).toContain("is not table or json");
  });
});
