import type { CreateVolumeGroupSnapshotRequest__Output } from "../proto/gen/csi/v1/CreateVolumeGroupSnapshotRequest.js";
import type { CreateVolumeGroupSnapshotResponse } from "../proto/gen/csi/v1/CreateVolumeGroupSnapshotResponse.js";
import type { DeleteVolumeGroupSnapshotRequest__Output } from "../proto/gen/csi/v1/DeleteVolumeGroupSnapshotRequest.js";
import type { DeleteVolumeGroupSnapshotResponse } from "../proto/gen/csi/v1/DeleteVolumeGroupSnapshotResponse.js";
import type { GetVolumeGroupSnapshotRequest__Output } from "../proto/gen/csi/v1/GetVolumeGroupSnapshotRequest.js";
import type { GetVolumeGroupSnapshotResponse } from "../proto/gen/csi/v1/GetVolumeGroupSnapshotResponse.js";
import type { Context, VolumeEngine } from "../src/engines/types.js";
import { invalid, notFound, StorageError } from "../src/errors/storage-error.js";
import type { Snapshot, SnapshotGroup } from "../src/model/volume.js";
import { type ControllerDeps, findVolume } from "./deps.js";
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
    const target = deps.engines.forId(volumeIds[0] ?? "");
    const existing = await deps.engines.find(ctx, target, (engine) => engine.findGroupByName(ctx, name));
    if (existing) {
      if (JSON.stringify(existing.sourceVolumeIds) === JSON.stringify(volumeIds))
        return { group_snapshot: await message(deps, ctx, existing) };
      throw new StorageError("already-exists", `group snapshot ${name} exists, of other volumes`);
    }
    const engine = await oneEngine(deps, ctx, volumeIds);
    return { group_snapshot: await message(deps, ctx, await engine.createGroup(ctx, name, volumeIds)) };
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
    const engine = deps.engines.forId(id);
    const group = await engine?.getGroup(ctx, id);
    if (!engine || !group) return {};
    checkMembers(group, request.snapshot_ids);
    await engine.deleteGroup(ctx, id);
    return {};
  });
}

/** CSI GetVolumeGroupSnapshot. */
export async function getGroupSnapshot(
  deps: ControllerDeps,
  ctx: Context,
  request: GetVolumeGroupSnapshotRequest__Output,
): Promise<GetVolumeGroupSnapshotResponse> {
  const id = requireId("group_snapshot_id", request.group_snapshot_id);
  const group = await deps.engines.forId(id)?.getGroup(ctx, id);
  if (!group) throw notFound(`group snapshot ${id} does not exist`);
  checkMembers(group, request.snapshot_ids);
  return { group_snapshot: await message(deps, ctx, group) };
}

function checkMembers(group: SnapshotGroup, given: readonly string[]): void {
  if (given.length === 0) return;
  if (JSON.stringify([...given].sort()) !== JSON.stringify([...group.snapshotIds].sort())) {
    throw invalid(`snapshot_ids are not the members of group ${group.id}`);
  }
}

/** One moment's cut is one engine's. */
async function oneEngine(deps: ControllerDeps, ctx: Context, volumeIds: readonly string[]): Promise<VolumeEngine> {
  const found = await Promise.all(volumeIds.map((id) => findVolume(deps, ctx, id, "source_volume_ids")));
  const engines = [...new Set(found.map(({ engine }) => engine))];
  if (engines.length > 1)
    throw invalid(
      `source_volume_ids: the volumes are in ${engines.map(({ title }) => title).join(" and ")}; a group is cut in one`,
    );
  return engines[0] as VolumeEngine;
}

async function message(deps: ControllerDeps, ctx: Context, group: SnapshotGroup) {
  const engine = deps.engines.forId(group.id);
  const found = await Promise.all(group.snapshotIds.map((id) => engine?.getSnapshot(ctx, id)));
  const members = found.filter((s): s is Snapshot => s !== undefined);
  return groupMessage(group, members);
}
