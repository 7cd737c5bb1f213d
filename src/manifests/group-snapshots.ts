import type { CreateVolumeGroupSnapshotRequest } from "../../proto/gen/csi/v1/CreateVolumeGroupSnapshotRequest.js";
import type { VolumeGroupSnapshot__Output } from "../../proto/gen/csi/v1/VolumeGroupSnapshot.js";
import { forgetRequest, recordRequest, requestInFlight } from "./intent.js";
import { memberName } from "./kubelet-paths.js";
import { boundVolume, groupSnapshotClass } from "./lookup.js";
import type { PersistentVolume, VolumeGroupSnapshot, VolumeSnapshot } from "./objects.js";
import { type Controller, guard, isUndecided, Refusal, type Session, Wait } from "./session.js";
import { BOUND_PROTECTION, refuseInUse, SOURCE_PROTECTION, snapshotStatus } from "./snapshots.js";

const GROUP_PROTECTION = "groupsnapshot.storage.kubernetes.io/volumegroupsnapshot-bound-protection";

interface GroupRequest {
  request: CreateVolumeGroupSnapshotRequest;
  /** The members' PersistentVolumes: their claims are held while the group is cut. */
  volumes: string[];
}

/** Cuts all claims that a group selects at one moment, and makes a VolumeSnapshot of each. */
export const groupSnapshotter: Controller<"VolumeGroupSnapshot"> = {
  kind: "VolumeGroupSnapshot",
  failure: "GroupSnapshotCreationFailed",
  condition: { type: "Ready", status: "False" },
  async run(session, group) {
    if (group.metadata.deletionTimestamp !== undefined || group.status.readyToUse) return;
    let inFlight = requestInFlight<GroupRequest>(group);
    if (!inFlight) {
      const planned = plan(session, group);
      group = await session.note(group, (draft) => {
        guard(draft, GROUP_PROTECTION);
        draft.status.deletionPolicy = planned.deletionPolicy;
        recordRequest(draft, planned.inFlight);
      });
      inFlight = planned.inFlight;
    }
    const cut = await createGroup(session, group, inFlight.request);
    group = await session.update(group, (draft) => {
      draft.status.groupSnapshotHandle = cut.group_snapshot_id;
    });
    const members = await makeMembers(session, group, cut, inFlight.volumes);
    await session.update(group, (draft) => {
      if (cut.ready_to_use) forgetRequest(draft);
      Object.assign(draft.status, { members, readyToUse: cut.ready_to_use });
      const [first] = members;
      const member = first && session.store.get("VolumeSnapshot", group.metadata.namespace, first.snapshotName);
      if (member?.status.creationTime !== undefined) draft.status.creationTime = member.status.creationTime;
    });
    if (!cut.ready_to_use) {
      session.retry = true;
      throw new Wait("GroupSnapshotNotReady", "the members are cut and not ready to use yet", "Normal");
    }
    await session.event(group, "Normal", "GroupSnapshotReady", `${members.length} snapshots of one moment are ready`);
  },
};

function plan(session: Session, group: VolumeGroupSnapshot) {
  const { name, namespace, uid } = group.metadata;
  const found = groupSnapshotClass(session, group.spec.volumeGroupSnapshotClassName);
  const labels = Object.entries(group.spec.source.selector.matchLabels);
  const claims = session.store
    .list("PersistentVolumeClaim")
    .filter((claim) => claim.metadata.namespace === namespace && claim.metadata.deletionTimestamp === undefined)
    .filter((claim) => labels.every(([key, value]) => claim.metadata.labels[key] === value));
  if (claims.length === 0) throw new Wait("NoMembers", `no claim of namespace ${namespace} has the selector's labels`);
  const volumes = claims.map((claim) => boundVolume(session, namespace, claim.metadata.name));
  const request: CreateVolumeGroupSnapshotRequest = {
    name: `groupsnapshot-${uid}`,
    source_volume_ids: volumes.map((volume) => volume.spec.csi.volumeHandle),
    parameters: {
      ...found.parameters,
      "csi.storage.k8s.io/volumegroupsnapshot/name": name,
      "csi.storage.k8s.io/volumegroupsnapshot/namespace": namespace,
      "csi.storage.k8s.io/volumegroupsnapshotcontent/name": `groupsnapcontent-${uid}`,
    },
  };
  const inFlight: GroupRequest = { request, volumes: volumes.map((volume) => volume.metadata.name) };
  return { inFlight, deletionPolicy: found.deletionPolicy };
}

async function createGroup(
  session: Session,
  group: VolumeGroupSnapshot,
  request: CreateVolumeGroupSnapshotRequest,
): Promise<VolumeGroupSnapshot__Output> {
  try {
    const { group_snapshot } = await session.call("GroupController", "CreateVolumeGroupSnapshot", request);
    if (!group_snapshot)
      throw new Refusal("GroupSnapshotCreationFailed", "CreateVolumeGroupSnapshot answered without a group");
    return group_snapshot;
  } catch (error) {
    if (!isUndecided(error)) await session.note(group, forgetRequest);
    throw error;
  }
}

async function makeMembers(
  session: Session,
  group: VolumeGroupSnapshot,
  cut: VolumeGroupSnapshot__Output,
  volumeNames: readonly string[],
): Promise<VolumeGroupSnapshot["status"]["members"]> {
  const { namespace, uid, name: groupName } = group.metadata;
  const volumes = volumeNames
    .map((name) => session.store.get("PersistentVolume", "", name))
    .filter((volume): volume is PersistentVolume => volume !== undefined);
  const members: VolumeGroupSnapshot["status"]["members"] = [];
  for (const snapshot of cut.snapshots) {
    const volume = volumes.find((one) => one.spec.csi.volumeHandle === snapshot.source_volume_id);
    const claimName = volume?.spec.claimRef?.name ?? "";
    const name = memberName(uid, snapshot.source_volume_id);
    const known = session.store.get("VolumeSnapshot", namespace, name);
    const member: VolumeSnapshot = known ?? {
      apiVersion: "snapshot.storage.k8s.io/v1",
      kind: "VolumeSnapshot",
      metadata: {
        name,
        namespace,
        uid: crypto.randomUUID(),
        creationTimestamp: new Date().toISOString(),
        labels: { ...group.metadata.labels },
        annotations: {},
        finalizers: [BOUND_PROTECTION, SOURCE_PROTECTION],
      },
      spec: { source: { persistentVolumeClaimName: claimName } },
      status: { readyToUse: false, volumeGroupSnapshotName: groupName, conditions: [] },
    };
    const status = { ...member.status, ...snapshotStatus(snapshot) };
    if (group.status.deletionPolicy) status.deletionPolicy = group.status.deletionPolicy;
    if (known) await session.update(known, (draft) => void Object.assign(draft, { status }));
    else await session.create({ ...member, status });
    members.push({ claimName, snapshotName: name, snapshotHandle: snapshot.snapshot_id });
  }
  return members;
}

/** Deletes a group with all its members. */
export const groupSnapshotRemover: Controller<"VolumeGroupSnapshot"> = {
  kind: "VolumeGroupSnapshot",
  failure: "GroupSnapshotDeleteError",
  condition: { type: "Deleting", status: "False" },
  async run(session, group) {
    if (group.metadata.deletionTimestamp === undefined) return;
    const inFlight = requestInFlight<GroupRequest>(group);
    let handle = group.status.groupSnapshotHandle;
    if (handle === undefined && inFlight) {
      const cut = await createGroup(session, group, inFlight.request).catch((error: unknown) => {
        if (isUndecided(error)) throw error;
        return undefined;
      });
      handle = cut?.group_snapshot_id;
    }
    const { namespace, name } = group.metadata;
    const members = session.store
      .list("VolumeSnapshot")
      .filter((one) => one.metadata.namespace === namespace && one.status.volumeGroupSnapshotName === name);
    for (const member of members) refuseInUse(session, member);
    // Marked first, so that no claim can start from a member while the group goes.
    for (const member of members) await session.requestDeletion(member);
    if (handle !== undefined && group.status.deletionPolicy !== "Retain")
      await session.call("GroupController", "DeleteVolumeGroupSnapshot", {
        group_snapshot_id: handle,
        snapshot_ids: [],
      });
    for (const member of members) await session.release(member, BOUND_PROTECTION, SOURCE_PROTECTION);
    await session.release(group, GROUP_PROTECTION);
  },
};
