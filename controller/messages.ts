import type { Snapshot as SnapshotMessage } from "../proto/gen/csi/v1/Snapshot.js";
import type { Volume as VolumeMessage } from "../proto/gen/csi/v1/Volume.js";
import type { VolumeGroupSnapshot } from "../proto/gen/csi/v1/VolumeGroupSnapshot.js";
import type { Timestamp } from "../proto/gen/google/protobuf/Timestamp.js";
import type { Context, VolumeEngine } from "../src/engines/types.js";
import type { Snapshot, SnapshotGroup, Volume } from "../src/model/volume.js";
import { TOPOLOGY_KEY } from "./deps.js";

/** The CSI message of a volume. `volume_context` depends on immutable facts only, and holds no secret. */
export async function volumeMessage(ctx: Context, engine: VolumeEngine, volume: Volume): Promise<VolumeMessage> {
  const source = volume.source;
  const nodeIds = await engine.nodeIds(ctx);
  return {
    volume_id: volume.id,
    capacity_bytes: String(volume.capacityBytes),
    volume_context: {
      kind: volume.kind,
      fsType: volume.fsType,
      mkfsOptions: JSON.stringify(volume.mkfsOptions),
      hasSource: String(source !== null),
      reclaimSpaceMs: String(volume.reclaimSpaceMs),
      ...volume.context,
    },
    content_source: !source
      ? null
      : source.type === "snapshot"
        ? { snapshot: { snapshot_id: source.snapshotId } }
        : { volume: { volume_id: source.volumeId } },
    accessible_topology: (nodeIds ?? []).map((nodeId) => ({ segments: { [TOPOLOGY_KEY]: nodeId } })),
  };
}

export function snapshotMessage(snapshot: Snapshot): SnapshotMessage {
  return {
    snapshot_id: snapshot.id,
    source_volume_id: snapshot.sourceVolumeId,
    size_bytes: String(snapshot.sizeBytes),
    creation_time: timestamp(snapshot.createdMs),
    ready_to_use: snapshot.readyToUse,
    group_snapshot_id: snapshot.groupId,
  };
}

export function groupMessage(group: SnapshotGroup, members: readonly Snapshot[]): VolumeGroupSnapshot {
  return {
    group_snapshot_id: group.id,
    snapshots: members.map(snapshotMessage),
    creation_time: timestamp(group.createdMs),
    ready_to_use: members.every((member) => member.readyToUse),
  };
}

function timestamp(ms: number): Timestamp {
  return { seconds: String(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
