import { readdirSync, readFileSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CsiCallError, MethodName, ServiceName } from "../../src/runtime/csi-client.js";
import { type Mutation, mutate, mutationsOf } from "./csi-bad-values.js";
import { block, bytes, type Calls, callsOf, MIB, mount, NODE } from "./csi-requests.js";
import {
  loopsUnder,
  makeSandbox,
  mountsUnder,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

const MODE = "SINGLE_NODE_MULTI_WRITER";
const GONE = `g1-l-v-${"0".repeat(24)}`;
let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;
/** What the requests below are about: a volume that is staged and published, one that is idle, and cuts of it. */
const known = { volume: "", idle: "", base: "", target: "", group: "", member: "" };
let context: Record<string, string> = {};
let publishContext: Record<string, string> = {};

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  csi = callsOf(server.client, sandbox);
  const volume = await csi.create("used");
  known.volume = volume.volume_id;
  known.idle = (await csi.create("idle", { volume_capabilities: [block()] })).volume_id;
  known.base = (await csi.snapshot("base", known.idle)).snapshot_id ?? "";
  known.target = (await csi.snapshot("target", known.idle)).snapshot_id ?? "";
  const group = await csi.group("group", [known.idle]);
  known.group = group.group_snapshot_id ?? "";
  known.member = group.snapshots?.[0]?.snapshot_id ?? "";
  context = volume.volume_context ?? {};
  publishContext = (await csi.controllerPublish(known.volume, mount(MODE))).publish_context ?? {};
  await csi.stage(volume, publishContext, mount(MODE));
  await csi.publish(volume, {}, "a", mount(MODE));
});

afterAll(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

/** Everything that a request could have changed. */
async function everything() {
  const { entries: volumes } = await server.client.call("Controller", "ListVolumes", {});
  const { entries: snapshots } = await server.client.call("Controller", "ListSnapshots", {});
  const files = (dir: string) =>
    readdirSync(dir, { recursive: true, encoding: "utf8" }).map((name) => [name, statSync(join(dir, name)).size]);
  const nodeDir = join(sandbox.dataDir, "node");
  const records = readdirSync(nodeDir).filter((name) => name.endsWith(".json"));
  return {
    volumes,
    snapshots,
    pool: ["volumes", "snapshots"].flatMap((part) => files(join(sandbox.poolDir, part))),
    node: records.map((name) => [name, readFileSync(join(nodeDir, name), "utf8")]),
    mounts: mountsUnder(sandbox.dir),
    loops: loopsUnder(sandbox.dir),
    outside: readdirSync(sandbox.dir),
  };
}

type Request = Record<string, unknown>;
type Answer = Record<string, Record<string, string>>;

interface Row {
  service: ServiceName;
  method: string;
  /** A request that is good, and changes nothing or is undone. */
  good: () => Request;
  /** Fields that may not be empty (rule 34). */
  required: readonly string[];
  /** Fields that hold an id, and the code for one that is not ours (rule 35). */
  ids?: Record<string, string>;
  /** Takes back what a request did that was accepted. */
  undo?: (request: Request, answer: Answer) => Promise<unknown>;
  stream?: true;
}

const stageGood = () => ({
  volume_id: known.volume,
  staging_target_path: csi.staging(known.volume),
  volume_capability: mount(MODE),
  volume_context: context,
  publish_context: publishContext,
});
const capability = ["volume_capability", "volume_capability.access_mode"];

const ROWS: Row[] = [
  {
    service: "Controller",
    method: "CreateVolume",
    good: () => ({ name: "new", capacity_range: bytes(32 * MIB), volume_capabilities: [mount()] }),
    required: ["name", "volume_capabilities", "volume_capabilities.access_mode"],
    ids: {
      "volume_content_source.snapshot.snapshot_id": "NOT_FOUND",
      "volume_content_source.volume.volume_id": "NOT_FOUND",
    },
    undo: (_request, answer) => csi.remove(answer.volume?.volume_id ?? ""),
  },
  {
    service: "Controller",
    method: "DeleteVolume",
    good: () => ({ volume_id: GONE }),
    required: ["volume_id"],
    ids: { volume_id: "OK" },
  },
  {
    service: "Controller",
    method: "ControllerPublishVolume",
    good: () => ({ volume_id: known.volume, node_id: NODE, volume_capability: mount(MODE) }),
    required: ["volume_id", "node_id", ...capability],
    ids: { volume_id: "NOT_FOUND", node_id: "NOT_FOUND" },
  },
  {
    service: "Controller",
    method: "ControllerUnpublishVolume",
    good: () => ({ volume_id: known.idle, node_id: NODE }),
    required: ["volume_id"],
    ids: { volume_id: "OK", node_id: "OK" },
  },
  {
    service: "Controller",
    method: "ValidateVolumeCapabilities",
    good: () => ({ volume_id: known.idle, volume_capabilities: [block()] }),
    required: ["volume_id", "volume_capabilities", "volume_capabilities.access_mode"],
    ids: { volume_id: "NOT_FOUND" },
  },
  { service: "Controller", method: "ListVolumes", good: () => ({}), required: [] },
  {
    service: "Controller",
    method: "ControllerGetVolume",
    good: () => ({ volume_id: known.idle }),
    required: ["volume_id"],
    ids: { volume_id: "NOT_FOUND" },
  },
  {
    service: "Controller",
    method: "ControllerModifyVolume",
    good: () => ({ volume_id: known.idle }),
    required: ["volume_id"],
    ids: { volume_id: "NOT_FOUND" },
  },
  { service: "Controller", method: "GetCapacity", good: () => ({}), required: [] },
  {
    service: "Controller",
    method: "CreateSnapshot",
    good: () => ({ source_volume_id: known.idle, name: "new" }),
    required: ["source_volume_id", "name"],
    ids: { source_volume_id: "NOT_FOUND" },
    undo: (_request, answer) => csi.removeSnapshot(answer.snapshot?.snapshot_id ?? ""),
  },
  {
    service: "Controller",
    method: "DeleteSnapshot",
    good: () => ({ snapshot_id: `g1-l-s-${"0".repeat(24)}` }),
    required: ["snapshot_id"],
    ids: { snapshot_id: "OK" },
  },
  {
    service: "Controller",
    method: "ListSnapshots",
    good: () => ({}),
    required: [],
  },
  {
    service: "Controller",
    method: "GetSnapshot",
    good: () => ({ snapshot_id: known.base }),
    required: ["snapshot_id"],
    ids: { snapshot_id: "NOT_FOUND" },
  },
  {
    service: "Controller",
    method: "ControllerExpandVolume",
    good: () => ({ volume_id: known.idle, capacity_range: bytes(MIB) }),
    required: ["volume_id", "capacity_range"],
    ids: { volume_id: "NOT_FOUND" },
  },
  {
    service: "GroupController",
    method: "CreateVolumeGroupSnapshot",
    good: () => ({ name: "new", source_volume_ids: [known.idle] }),
    required: ["name", "source_volume_ids"],
    ids: { source_volume_ids: "NOT_FOUND" },
    undo: (_request, answer) =>
      server.client.call("GroupController", "DeleteVolumeGroupSnapshot", {
        group_snapshot_id: answer.group_snapshot?.group_snapshot_id ?? "",
      }),
  },
  {
    service: "GroupController",
    method: "DeleteVolumeGroupSnapshot",
    good: () => ({ group_snapshot_id: `g1-l-g-${"1".repeat(24)}` }),
    required: ["group_snapshot_id"],
    ids: { group_snapshot_id: "OK" },
  },
  {
    service: "GroupController",
    method: "GetVolumeGroupSnapshot",
    good: () => ({ group_snapshot_id: known.group, snapshot_ids: [known.member] }),
    required: ["group_snapshot_id"],
    ids: { group_snapshot_id: "NOT_FOUND" },
  },
  {
    service: "SnapshotMetadata",
    method: "GetMetadataAllocated",
    good: () => ({ snapshot_id: known.base }),
    required: ["snapshot_id"],
    ids: { snapshot_id: "NOT_FOUND" },
    stream: true,
  },
  {
    service: "SnapshotMetadata",
    method: "GetMetadataDelta",
    good: () => ({ base_snapshot_id: known.base, target_snapshot_id: known.target }),
    required: ["base_snapshot_id", "target_snapshot_id"],
    ids: { base_snapshot_id: "NOT_FOUND", target_snapshot_id: "NOT_FOUND" },
    stream: true,
  },
  {
    service: "Node",
    method: "NodeStageVolume",
    good: stageGood,
    required: ["volume_id", "staging_target_path", ...capability],
    ids: { volume_id: "NOT_FOUND" },
    undo: async ({ volume_id, staging_target_path }) => {
      const path = String(staging_target_path);
      if (path === csi.staging(known.volume)) return;
      await csi.unstage(String(volume_id), path);
      // Whoever calls may have made the staging folder, so the driver leaves it.
      rmdirSync(path);
    },
  },
  {
    service: "Node",
    method: "NodeUnstageVolume",
    good: () => ({ volume_id: known.volume, staging_target_path: join(sandbox.dir, "nowhere") }),
    required: ["volume_id", "staging_target_path"],
    ids: { volume_id: "OK" },
  },
  {
    service: "Node",
    method: "NodePublishVolume",
    good: () => ({ ...stageGood(), target_path: csi.target(known.volume) }),
    required: ["volume_id", "target_path", ...capability],
    ids: { volume_id: "NOT_FOUND" },
    undo: async ({ volume_id, target_path }) => {
      if (target_path === csi.target(known.volume)) return;
      const request = { volume_id: String(volume_id), target_path: String(target_path) };
      await server.client.call("Node", "NodeUnpublishVolume", request);
    },
  },
  {
    service: "Node",
    method: "NodeUnpublishVolume",
    good: () => ({ volume_id: known.volume, target_path: join(sandbox.dir, "nowhere") }),
    required: ["volume_id", "target_path"],
    ids: { volume_id: "OK" },
  },
  {
    service: "Node",
    method: "NodeGetVolumeStats",
    good: () => ({ volume_id: known.volume, volume_path: csi.target(known.volume) }),
    required: ["volume_id", "volume_path"],
    ids: { volume_id: "NOT_FOUND" },
  },
  {
    service: "Node",
    method: "NodeExpandVolume",
    good: () => ({ volume_id: known.volume, volume_path: csi.target(known.volume) }),
    required: ["volume_id", "volume_path"],
    ids: { volume_id: "NOT_FOUND" },
  },
];

/** Codes that say "your request", never "our bug": INTERNAL and UNKNOWN are not among them. */
const HONEST = [
  "OK",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "RESOURCE_EXHAUSTED",
];

/** The codes that this bad value may get. */
function allowed(row: Row, { field, what, value }: Mutation): readonly string[] {
  const gone = value === "" || what === "absent" || (what === "empty" && typeof value === "object") || what === "zero";
  if (gone)
    return row.required.includes(field) || row.required.includes(field.replace(/\.mode$/, ""))
      ? ["INVALID_ARGUMENT"]
      : HONEST;
  const idCode = row.ids?.[field];
  if (idCode !== undefined) return [idCode];
  const optional = field.endsWith("_path") || /access_mode/.test(field);
  if (optional && !row.required.some((one) => field === one || field === `${one}.mode`)) return HONEST;
  if (field.endsWith("access_mode.mode")) return ["INVALID_ARGUMENT"];
  if (field === "name")
    return what === "a new line" ||
      what === "a path out of the pool" ||
      /of our shape|another kind|every object/.test(what)
      ? ["OK"]
      : ["INVALID_ARGUMENT"];
  if (field === "starting_token") return ["ABORTED"];
  if (field === "starting_offset") return ["OUT_OF_RANGE"];
  if (field === "volume_path") return ["NOT_FOUND"];
  if (/^-|smallest/.test(what)) return ["INVALID_ARGUMENT"];
  if (/target_path$/.test(field) && /relative|\.\.|NUL|long|70 KB/.test(what)) return ["INVALID_ARGUMENT"];
  return HONEST;
}

async function send(row: Row, request: Request): Promise<{ code: string; details: string; answer: Answer }> {
  const call = row.stream ? server.client.stream : server.client.call;
  try {
    const send = call.bind(server.client) as (s: string, m: MethodName<ServiceName>, r: object) => Promise<unknown>;
    const answer = (await send(row.service, row.method as MethodName<ServiceName>, request)) as Answer;
    return { code: "OK", details: "", answer };
  } catch (error) {
    const { code, details } = error as CsiCallError;
    return { code, details, answer: {} };
  }
}

async function sendGood(row: Row): Promise<void> {
  const { code, answer } = await send(row, row.good());
  expect(code).toBe("OK");
  await row.undo?.(row.good(), answer);
}

describe.each(ROWS)("$method", (row) => {
  it("rules 34, 35, 36: every field with every bad value: its code, a message, and nothing changed", async () => {
    const before = await everything();
    await sendGood(row);
    const mutations = mutationsOf(row.service, row.method, sandbox.dir);
    const wrong: string[] = [];
    for (const mutation of mutations) {
      const request = mutate(row.good(), mutation) as Request;
      const { code, details, answer } = await send(row, request);
      if (code === "OK") await row.undo?.(request, answer);
      const codes = allowed(row, mutation);
      const clear = code === "OK" || (details !== "" && details.length < 4096);
      if (!codes.includes(code) || !clear) {
        wrong.push(
          `${mutation.field}, ${mutation.what}: ${code} (${details.slice(0, 120)}), not ${codes.join(" or ")}`,
        );
      }
    }
    expect(wrong).toEqual([]);
    await sendGood(row);
    expect(await everything()).toEqual(before);
  });
});
