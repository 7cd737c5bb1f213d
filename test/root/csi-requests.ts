import { spawnSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, readFileSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Volume } from "../../proto/gen/csi/v1/Volume.js";
import type { VolumeCapability } from "../../proto/gen/csi/v1/VolumeCapability.js";
import type { AccessMode } from "../../src/model/volume.js";
import type { CsiClient, CsiRequest } from "../../src/runtime/csi-client.js";
import type { Sandbox } from "./server-harness.js";

export const MIB = 1024 ** 2;
export const NODE = "host-1";

type MountAccess = { fs_type?: string; mount_flags?: string[]; volume_mount_group?: string };

export const mount = (mode: AccessMode = "SINGLE_NODE_WRITER", access: MountAccess = {}): VolumeCapability => ({
  mount: { fs_type: "ext4", ...access },
  access_mode: { mode },
});
export const block = (mode: AccessMode = "SINGLE_NODE_WRITER"): VolumeCapability => ({
  block: {},
  access_mode: { mode },
});
export const bytes = (required: number, limit = 0) => ({
  required_bytes: String(required),
  limit_bytes: String(limit),
});
export const fromVolume = (id: string) => ({ volume: { volume_id: id } });
export const fromSnapshot = (id: string) => ({ snapshot: { snapshot_id: id } });

/** Runs a tool to its end. @throws Error with what it said when it fails */
export function tool(program: string, ...args: string[]): string {
  const result = spawnSync(program, args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

/** Writes `text` at `offset`, on disk when it returns. */
export function writeAt(path: string, offset: number, data: Buffer | string): void {
  const file = openSync(path, "r+");
  try {
    const buffer = Buffer.from(data);
    if (writeSync(file, buffer, 0, buffer.length, offset) !== buffer.length) throw new Error(`short write to ${path}`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

export function readAt(path: string, offset: number, length: number): Buffer {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(file, buffer, 0, length, offset));
  } finally {
    closeSync(file);
  }
}

/** Bytes that the file really takes on its file system. */
export const allocatedBytes = (path: string) => statSync(path).blocks * 512;

export const mountLine = (path: string) =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .findLast((line) => line.split(" ")[4] === path) ?? "";

type Create = Partial<CsiRequest<"Controller", "CreateVolume">>;
type Known = Pick<Volume, "volume_id" | "volume_context">;

/** A volume that the driver answered with: its id is always there. */
export type Made = Volume & { volume_id: string; capacity_bytes: string };

/** What volumes are made as, unless a call says otherwise: of which engine, and for which access. */
export interface Choice {
  parameters?: Readonly<Record<string, string>>;
  capability?: VolumeCapability;
}

/** The CSI calls as an orchestrator makes them, in short: each is one real gRPC call, except attach and detach. */
export function callsOf(client: CsiClient, sandbox: Sandbox, choice: Choice = {}) {
  const { parameters = {}, capability: usual = mount() } = choice;
  const staging = (id: string) => join(sandbox.dir, "staging", id);
  const target = (id: string, pod = "a") => join(sandbox.dir, "pods", pod, id);
  const image = (id: string) => join(sandbox.poolDir, "volumes", id, "image");

  const create = async (name: string, more: Create = {}): Promise<Made> => {
    const { volume } = await client.call("Controller", "CreateVolume", {
      name,
      capacity_range: bytes(32 * MIB),
      volume_capabilities: [usual],
      ...more,
      parameters: { ...parameters, ...more.parameters },
    });
    if (!volume?.volume_id) throw new Error("CreateVolume answered without a volume");
    return volume as Made;
  };
  const remove = (id: string) => client.call("Controller", "DeleteVolume", { volume_id: id });
  const get = (id: string) => client.call("Controller", "ControllerGetVolume", { volume_id: id });
  const expand = (id: string, size: number, limit = 0) =>
    client.call("Controller", "ControllerExpandVolume", { volume_id: id, capacity_range: bytes(size, limit) });
  const snapshot = async (name: string, id: string) => {
    const answer = await client.call("Controller", "CreateSnapshot", { name, source_volume_id: id });
    if (!answer.snapshot?.snapshot_id) throw new Error("CreateSnapshot answered without a snapshot");
    return answer.snapshot;
  };
  const removeSnapshot = (id: string) => client.call("Controller", "DeleteSnapshot", { snapshot_id: id });
  const group = async (name: string, ids: readonly string[]) => {
    const answer = await client.call("GroupController", "CreateVolumeGroupSnapshot", {
      name,
      source_volume_ids: [...ids],
    });
    if (!answer.group_snapshot?.group_snapshot_id) throw new Error("answered without a group snapshot");
    return answer.group_snapshot;
  };
  const removeGroup = (id: string) =>
    client.call("GroupController", "DeleteVolumeGroupSnapshot", { group_snapshot_id: id });
  const list = () => client.call("Controller", "ListVolumes", {});
  const listSnapshots = () => client.call("Controller", "ListSnapshots", {});
  const modify = (id: string, parameters: Record<string, string>) =>
    client.call("Controller", "ControllerModifyVolume", { volume_id: id, mutable_parameters: parameters });
  const nodeExpand = (id: string, path = staging(id)) =>
    client.call("Node", "NodeExpandVolume", { volume_id: id, volume_path: path });
  const controllerPublish = (id: string, capability = usual, readonly = false, node = NODE) =>
    client.call("Controller", "ControllerPublishVolume", {
      volume_id: id,
      node_id: node,
      volume_capability: capability,
      readonly,
    });
  const controllerUnpublish = (id: string, node = NODE) =>
    client.call("Controller", "ControllerUnpublishVolume", { volume_id: id, node_id: node });
  const stage = (
    volume: Known,
    publishContext: Record<string, string>,
    capability = usual,
    path = staging(volume.volume_id ?? ""),
    deadlineMs?: number,
  ) =>
    client.call(
      "Node",
      "NodeStageVolume",
      {
        volume_id: volume.volume_id ?? "",
        staging_target_path: path,
        volume_capability: capability,
        publish_context: publishContext,
        volume_context: volume.volume_context ?? {},
      },
      deadlineMs,
    );
  const unstage = (id: string, path = staging(id)) =>
    client.call("Node", "NodeUnstageVolume", { volume_id: id, staging_target_path: path });
  const publish = (
    volume: Known,
    more: Partial<CsiRequest<"Node", "NodePublishVolume">> = {},
    pod = "a",
    capability = usual,
  ) =>
    client.call("Node", "NodePublishVolume", {
      volume_id: volume.volume_id ?? "",
      staging_target_path: staging(volume.volume_id ?? ""),
      target_path: target(volume.volume_id ?? "", pod),
      volume_capability: capability,
      volume_context: volume.volume_context ?? {},
      ...more,
    });
  const unpublish = (id: string, pod = "a") =>
    client.call("Node", "NodeUnpublishVolume", { volume_id: id, target_path: target(id, pod) });
  const stats = (id: string, path = staging(id)) =>
    client.call("Node", "NodeGetVolumeStats", { volume_id: id, volume_path: path });

  /** ControllerPublish and NodeStage; answers the staging path. */
  const attach = async (volume: Known, capability = usual): Promise<string> => {
    const id = volume.volume_id ?? "";
    const { publish_context } = await controllerPublish(id, capability);
    await stage(volume, publish_context ?? {}, capability);
    return staging(id);
  };
  const detach = async (id: string): Promise<void> => {
    await unstage(id);
    await controllerUnpublish(id);
  };
  return {
    /** The usual one. */
    capability: usual,
    ...{ staging, target, image, create, remove, get, expand, snapshot, removeSnapshot, group },
    ...{ removeGroup, list, listSnapshots, modify, nodeExpand },
    ...{ controllerPublish, controllerUnpublish, stage, unstage, publish, unpublish, stats, attach, detach },
  };
}

export type Calls = ReturnType<typeof callsOf>;
