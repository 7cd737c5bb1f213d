import { rmdirSync } from "node:fs";
import { join } from "node:path";
import type { VolumeCapability } from "../../proto/gen/csi/v1/VolumeCapability.js";
import type { ServiceName } from "../../src/runtime/csi-client.js";
import { bytes, type Calls, type Choice, MIB, NODE } from "./csi-requests.js";
import type { Sandbox, TestServer } from "./server-harness.js";

/** What the requests below are about, on a real server. */
export interface BadInputWorld {
  sandbox: Sandbox;
  server: TestServer;
  csi: Calls;
  choice: Required<Choice>;
  /** Of the volume that is staged and published, and of the idle one. */
  used: VolumeCapability;
  idle: VolumeCapability;
  /** An id of the engine's own shape that nothing has. */
  goneId(kind: "v" | "s" | "g"): string;
  /** A volume that is staged and published, one that is idle, and cuts of it; "" where the engine has none of that kind. */
  known: { volume: string; idle: string; base: string; target: string; group: string; member: string };
  context: Record<string, string>;
  publishContext: Record<string, string>;
}

export type Request = Record<string, unknown>;
export type Answer = Record<string, Record<string, string>>;

export interface Row {
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

const stageGood = (w: BadInputWorld) => ({
  volume_id: w.known.volume,
  staging_target_path: w.csi.staging(w.known.volume),
  volume_capability: w.used,
  volume_context: w.context,
  publish_context: w.publishContext,
});
const capability = ["volume_capability", "volume_capability.access_mode"];

const volumeRows = (w: BadInputWorld): Row[] => [
  {
    service: "Controller",
    method: "CreateVolume",
    good: () => ({
      name: "new",
      capacity_range: bytes(32 * MIB),
      volume_capabilities: [w.choice.capability],
      parameters: { ...w.choice.parameters },
    }),
    required: ["name", "volume_capabilities", "volume_capabilities.access_mode"],
    ids: {
      "volume_content_source.snapshot.snapshot_id": "NOT_FOUND",
      "volume_content_source.volume.volume_id": "NOT_FOUND",
    },
    undo: (_request, answer) => w.csi.remove(answer.volume?.volume_id ?? ""),
  },
  {
    service: "Controller",
    method: "DeleteVolume",
    good: () => ({ volume_id: w.goneId("v") }),
    required: ["volume_id"],
    ids: { volume_id: "OK" },
  },
  {
    service: "Controller",
    method: "ControllerPublishVolume",
    good: () => ({ volume_id: w.known.volume, node_id: NODE, volume_capability: w.used }),
    required: ["volume_id", "node_id", ...capability],
    ids: { volume_id: "NOT_FOUND", node_id: "NOT_FOUND" },
  },
  {
    service: "Controller",
    method: "ControllerUnpublishVolume",
    good: () => ({ volume_id: w.known.idle, node_id: NODE }),
    required: ["volume_id"],
    ids: { volume_id: "OK", node_id: "OK" },
  },
  {
    service: "Controller",
    method: "ValidateVolumeCapabilities",
    good: () => ({ volume_id: w.known.idle, volume_capabilities: [w.idle] }),
    required: ["volume_id", "volume_capabilities", "volume_capabilities.access_mode"],
    ids: { volume_id: "NOT_FOUND" },
  },
  { service: "Controller", method: "ListVolumes", good: () => ({}), required: [] },
  {
    service: "Controller",
    method: "ControllerGetVolume",
    good: () => ({ volume_id: w.known.idle }),
    required: ["volume_id"],
    ids: { volume_id: "NOT_FOUND" },
  },
  {
    service: "Controller",
    method: "ControllerModifyVolume",
    good: () => ({ volume_id: w.known.idle }),
    required: ["volume_id"],
    ids: { volume_id: "NOT_FOUND" },
  },
  { service: "Controller", method: "GetCapacity", good: () => ({}), required: [] },
  {
    service: "Controller",
    method: "ControllerExpandVolume",
    good: () => ({ volume_id: w.known.idle, capacity_range: bytes(MIB) }),
    required: ["volume_id", "capacity_range"],
    ids: { volume_id: "NOT_FOUND" },
  },
];

const snapshotRows = (w: BadInputWorld): Row[] => [
  {
    service: "Controller",
    method: "CreateSnapshot",
    good: () => ({ source_volume_id: w.known.idle, name: "new" }),
    required: ["source_volume_id", "name"],
    ids: { source_volume_id: "NOT_FOUND" },
    undo: (_request, answer) => w.csi.removeSnapshot(answer.snapshot?.snapshot_id ?? ""),
  },
  {
    service: "Controller",
    method: "DeleteSnapshot",
    good: () => ({ snapshot_id: w.goneId("s") }),
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
    good: () => ({ snapshot_id: w.known.base }),
    required: ["snapshot_id"],
    ids: { snapshot_id: "NOT_FOUND" },
  },
  {
    service: "GroupController",
    method: "CreateVolumeGroupSnapshot",
    good: () => ({ name: "new", source_volume_ids: [w.known.idle] }),
    required: ["name", "source_volume_ids"],
    ids: { source_volume_ids: "NOT_FOUND" },
    undo: (_request, answer) =>
      w.server.client.call("GroupController", "DeleteVolumeGroupSnapshot", {
        group_snapshot_id: answer.group_snapshot?.group_snapshot_id ?? "",
      }),
  },
  {
    service: "GroupController",
    method: "DeleteVolumeGroupSnapshot",
    good: () => ({ group_snapshot_id: w.goneId("g") }),
    required: ["group_snapshot_id"],
    ids: { group_snapshot_id: "OK" },
  },
  {
    service: "GroupController",
    method: "GetVolumeGroupSnapshot",
    good: () => ({ group_snapshot_id: w.known.group, snapshot_ids: [w.known.member] }),
    required: ["group_snapshot_id"],
    ids: { group_snapshot_id: "NOT_FOUND" },
  },
  {
    service: "SnapshotMetadata",
    method: "GetMetadataAllocated",
    good: () => ({ snapshot_id: w.known.base }),
    required: ["snapshot_id"],
    ids: { snapshot_id: "NOT_FOUND" },
    stream: true,
  },
  {
    service: "SnapshotMetadata",
    method: "GetMetadataDelta",
    good: () => ({ base_snapshot_id: w.known.base, target_snapshot_id: w.known.target }),
    required: ["base_snapshot_id", "target_snapshot_id"],
    ids: { base_snapshot_id: "NOT_FOUND", target_snapshot_id: "NOT_FOUND" },
    stream: true,
  },
];

const nodeRows = (w: BadInputWorld): Row[] => [
  {
    service: "Node",
    method: "NodeStageVolume",
    good: () => stageGood(w),
    required: ["volume_id", "staging_target_path", ...capability],
    ids: { volume_id: "NOT_FOUND" },
    undo: async ({ volume_id, staging_target_path }) => {
      const path = String(staging_target_path);
      if (path === w.csi.staging(w.known.volume)) return;
      await w.csi.unstage(String(volume_id), path);
      // Whoever calls may have made the staging folder, so the driver leaves it.
      rmdirSync(path);
    },
  },
  {
    service: "Node",
    method: "NodeUnstageVolume",
    good: () => ({ volume_id: w.known.volume, staging_target_path: join(w.sandbox.dir, "nowhere") }),
    required: ["volume_id", "staging_target_path"],
    ids: { volume_id: "OK" },
  },
  {
    service: "Node",
    method: "NodePublishVolume",
    good: () => ({ ...stageGood(w), target_path: w.csi.target(w.known.volume) }),
    required: ["volume_id", "target_path", ...capability],
    ids: { volume_id: "NOT_FOUND" },
    undo: async ({ volume_id, target_path }) => {
      if (target_path === w.csi.target(w.known.volume)) return;
      const request = { volume_id: String(volume_id), target_path: String(target_path) };
      await w.server.client.call("Node", "NodeUnpublishVolume", request);
    },
  },
  {
    service: "Node",
    method: "NodeUnpublishVolume",
    good: () => ({ volume_id: w.known.volume, target_path: join(w.sandbox.dir, "nowhere") }),
    required: ["volume_id", "target_path"],
    ids: { volume_id: "OK" },
  },
  {
    service: "Node",
    method: "NodeGetVolumeStats",
    good: () => ({ volume_id: w.known.volume, volume_path: w.csi.target(w.known.volume) }),
    required: ["volume_id", "volume_path"],
    ids: { volume_id: "NOT_FOUND" },
  },
  {
    service: "Node",
    method: "NodeExpandVolume",
    good: () => ({ volume_id: w.known.volume, volume_path: w.csi.target(w.known.volume) }),
    required: ["volume_id", "volume_path"],
    ids: { volume_id: "NOT_FOUND" },
  },
];

/** Every RPC that takes a request of some content. `w` is looked into when a request is made. */
export const badInputRows = (w: BadInputWorld): Row[] => [...volumeRows(w), ...snapshotRows(w), ...nodeRows(w)];
