import type { CreateSnapshotRequest } from "../../proto/gen/csi/v1/CreateSnapshotRequest.js";
import type { Snapshot__Output } from "../../proto/gen/csi/v1/Snapshot.js";
import { forgetRequest, recordRequest, requestInFlight } from "./intent.js";
import { boundVolume, snapshotClass, sourceOf } from "./lookup.js";
import type { VolumeSnapshot } from "./objects.js";
import { quantityOf } from "./quantity.js";
import { type Controller, guard, isUndecided, Refusal, type Session, show, Wait } from "./session.js";

export const BOUND_PROTECTION = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection";
export const SOURCE_PROTECTION = "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection";

/** Cuts snapshots, as external-snapshotter does. */
export const snapshotter: Controller<"VolumeSnapshot"> = {
  kind: "VolumeSnapshot",
  failure: "SnapshotCreationFailed",
  condition: { type: "Ready", status: "False" },
  async run(session, snapshot) {
    const { readyToUse, volumeGroupSnapshotName } = snapshot.status;
    if (snapshot.metadata.deletionTimestamp !== undefined || readyToUse || volumeGroupSnapshotName) return;
    let request = requestInFlight<CreateSnapshotRequest>(snapshot);
    if (!request) {
      const planned = plan(session, snapshot);
      snapshot = await session.note(snapshot, (draft) => {
        guard(draft, BOUND_PROTECTION, SOURCE_PROTECTION);
        draft.status.deletionPolicy = planned.deletionPolicy;
        recordRequest(draft, planned.request);
      });
      request = planned.request;
    }
    await session.event(snapshot, "Normal", "CreatingSnapshot", "the snapshot is being cut");
    const cut = await createSnapshot(session, snapshot, request);
    await session.update(snapshot, (draft) => {
      if (cut.ready_to_use) forgetRequest(draft);
      Object.assign(draft.status, snapshotStatus(cut));
    });
    if (!cut.ready_to_use) {
      session.retry = true;
      throw new Wait("SnapshotNotReady", "the snapshot is cut and not ready to use yet", "Normal");
    }
    await session.event(snapshot, "Normal", "SnapshotReady", "the snapshot is ready to use");
  },
};

/** What an answered snapshot says of itself, as a VolumeSnapshot's status. */
export function snapshotStatus(cut: Snapshot__Output): Partial<VolumeSnapshot["status"]> {
  const ms = Number(cut.creation_time?.seconds ?? 0) * 1000 + Math.floor((cut.creation_time?.nanos ?? 0) / 1e6);
  return {
    snapshotHandle: cut.snapshot_id,
    readyToUse: cut.ready_to_use,
    creationTime: new Date(ms).toISOString(),
    restoreSize: quantityOf(BigInt(cut.size_bytes)),
  };
}

function plan(session: Session, snapshot: VolumeSnapshot) {
  const { source, volumeSnapshotClassName } = snapshot.spec;
  const { name, namespace, uid } = snapshot.metadata;
  const found = snapshotClass(session, volumeSnapshotClassName);
  const volume = boundVolume(session, namespace, source.persistentVolumeClaimName);
  const request: CreateSnapshotRequest = {
    name: `snapshot-${uid}`,
    source_volume_id: volume.spec.csi.volumeHandle,
    parameters: {
      ...found.parameters,
      "csi.storage.k8s.io/volumesnapshot/name": name,
      "csi.storage.k8s.io/volumesnapshot/namespace": namespace,
      "csi.storage.k8s.io/volumesnapshotcontent/name": `snapcontent-${uid}`,
    },
  };
  return { request, deletionPolicy: found.deletionPolicy };
}

async function createSnapshot(
  session: Session,
  object: VolumeSnapshot,
  request: CreateSnapshotRequest,
): Promise<Snapshot__Output> {
  try {
    const { snapshot } = await session.call("Controller", "CreateSnapshot", request);
    if (!snapshot) throw new Refusal("SnapshotCreationFailed", "CreateSnapshot answered without a snapshot");
    return snapshot;
  } catch (error) {
    if (!isUndecided(error)) await session.note(object, forgetRequest);
    throw error;
  }
}

/** Deletes snapshots that were asked to go, unless a claim is being filled from them or a group holds them. */
export const snapshotRemover: Controller<"VolumeSnapshot"> = {
  kind: "VolumeSnapshot",
  failure: "SnapshotDeleteError",
  condition: { type: "Deleting", status: "False" },
  async run(session, snapshot) {
    if (snapshot.metadata.deletionTimestamp === undefined) return;
    const group = snapshot.status.volumeGroupSnapshotName;
    if (group !== undefined)
      throw new Refusal("SnapshotInGroup", `a member of volumegroupsnapshot ${group} goes with its group: delete that`);
    refuseInUse(session, snapshot);
    let handle = snapshot.status.snapshotHandle;
    const request = requestInFlight<CreateSnapshotRequest>(snapshot);
    if (handle === undefined && request) {
      const cut = await createSnapshot(session, snapshot, request).catch((error: unknown) => {
        if (isUndecided(error)) throw error;
        return undefined;
      });
      handle = cut?.snapshot_id;
    }
    if (handle !== undefined && snapshot.status.deletionPolicy !== "Retain")
      await session.call("Controller", "DeleteSnapshot", { snapshot_id: handle });
    await session.release(snapshot, BOUND_PROTECTION, SOURCE_PROTECTION);
  },
};

/** @throws Wait while a claim is being filled from the snapshot */
export function refuseInUse(session: Session, snapshot: VolumeSnapshot): void {
  const { name, namespace } = snapshot.metadata;
  const user = session.store
    .list("PersistentVolumeClaim")
    .filter((claim) => claim.metadata.namespace === namespace && requestInFlight(claim) !== undefined)
    .find((claim) => sourceOf(claim)?.kind === "VolumeSnapshot" && sourceOf(claim)?.name === name);
  if (user) throw new Wait("SnapshotInUse", `deletion waits: ${show(user)} is being filled from it`, "Normal");
}
