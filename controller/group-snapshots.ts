import type { CreateVolumeGroupSnapshotRequest__Output } from "../proto/gen/csi/v1/CreateVolumeGroupSnapshotRequest.js";
import type { CreateVolumeGroupSnapshotResponse } from "../proto/gen/csi/v1/CreateVolumeGroupSnapshotResponse.js";
import type { DeleteVolumeGroupSnapshotRequest__Output } from "../proto/gen/csi/v1/DeleteVolumeGroupSnapshotRequest.js";
import type { DeleteVolumeGroupSnapshotResponse } from "../proto/gen/csi/v1/DeleteVolumeGroupSnapshotResponse.js";
import type { GetVolumeGroupSnapshotRequest__Output } from "../proto/gen/csi/v1/GetVolumeGroupSnapshotRequest.js";
import type { GetVolumeGroupSnapshotResponse } from "../proto/gen/csi/v1/GetVolumeGroupSnapshotResponse.js";
import type { Context } from "../src/engines/types.js";
import { invalid, notFound, StorageError } from "../src/errors/storage-error.js";
import type { Snapshot, SnapshotGroup } from "../src/model/volume.js";
import type { ControllerDeps } from "./deps.js";
import { groupMessage } from "./messages.js";
import { requireId, requireName } from "./validation.js";

/** CSI CreateVolumeGroupSnapshot: one point in the order of writes over all members, or nothing. */
export async function createGroupSnapshot(
  deps: ControllerDeps,
  ctx: Context,
  request: CreateVolumeGroupSnapshotRequest__Output,
): Promise<CreateVolumeGroupSnapshotResponse> {
  const name = requireName("name", request.name);
  const volumeIds = [...new Set(request.source_volume_ids)].sort();
  if (volumeIds.length === 0) throw invalid("source_volume_ids is required: at least one volume");
  volumeIds.forEach((id, i) => void requireId(`source_volume_ids[${i}]`, id));
  return deps.locks.run([`group:${name}`, ...volumeIds], `CreateVolumeGroupSnapshot ${name}`, async () => {
    const existing = deps.engine.findGroupByName(name);
    if (existing) {
      if (JSON.stringify(existing.sourceVolumeIds) === JSON.stringify(volumeIds))
        return { group_snapshot: message(deps, existing) };
      throw new StorageError("already-exists", `group snapshot ${name} exists, of other volumes`);
    }
    for (const id of volumeIds)
      if (!deps.engine.get(id)) throw notFound(`source_volume_ids: volume ${id} does not exist`);
    return { group_snapshot: message(deps, await deps.engine.createGroup(ctx, name, volumeIds)) };
  });
}

/** CSI DeleteVolumeGroupSnapshot: gone is OK; snapshot ids that are not the group's are refused. */
export async function deleteGroupSnapshot(
  deps: ControllerDeps,
  ctx: Context,
  request: DeleteVolumeGroupSnapshotRequest__Output,
): Promise<DeleteVolumeGroupSnapshotResponse> {
  const id = requireId("group_snapshot_id", request.group_snapshot_id);
  return deps.locks.run([id], `DeleteVolumeGroupSnapshot ${id}`, async () => {
    const group = deps.engine.getGroup(id);
    if (!group) return {};
    checkMembers(group, request.snapshot_ids);
    await deps.engine.deleteGroup(ctx, id);
    return {};
  });
}

/** CSI GetVolumeGroupSnapshot. */
export async function getGroupSnapshot(
  deps: ControllerDeps,
  _ctx: Context,
  request: GetVolumeGroupSnapshotRequest__Output,
): Promise<GetVolumeGroupSnapshotResponse> {
  const id = requireId("group_snapshot_id", request.group_snapshot_id);
  const group = deps.engine.getGroup(id);
  if (!group) throw notFound(`group snapshot ${id} does not exist`);
  checkMembers(group, request.snapshot_ids);
  return { group_snapshot: message(deps, group) };
}

function checkMembers(group: SnapshotGroup, given: readonly string[]): void {
  if (given.length === 0) return;
  if (JSON.stringify([...given].sort()) !== JSON.stringify([...group.snapshotIds].sort())) {
    throw invalid(`snapshot_ids are not the members of group ${group.id}`);
  }
}

function message(deps: ControllerDeps, group: SnapshotGroup) {
  const members = group.snapshotIds
    .map((id) => deps.engine.getSnapshot(id))
    .filter((s): s is Snapshot => s !== undefined);
  return groupMessage(group, members);
}
