import type { CreateSnapshotRequest__Output } from "../proto/gen/csi/v1/CreateSnapshotRequest.js";
import type { CreateSnapshotResponse } from "../proto/gen/csi/v1/CreateSnapshotResponse.js";
import type { DeleteSnapshotRequest__Output } from "../proto/gen/csi/v1/DeleteSnapshotRequest.js";
import type { DeleteSnapshotResponse } from "../proto/gen/csi/v1/DeleteSnapshotResponse.js";
import type { GetSnapshotRequest__Output } from "../proto/gen/csi/v1/GetSnapshotRequest.js";
import type { GetSnapshotResponse } from "../proto/gen/csi/v1/GetSnapshotResponse.js";
import type { ListSnapshotsRequest__Output } from "../proto/gen/csi/v1/ListSnapshotsRequest.js";
import type { ListSnapshotsResponse } from "../proto/gen/csi/v1/ListSnapshotsResponse.js";
import type { Context } from "../src/engines/types.js";
import { invalid, StorageError } from "../src/errors/storage-error.js";
import { type ControllerDeps, findSnapshot, findVolume } from "./deps.js";
import { snapshotMessage } from "./messages.js";
import { pageRequest } from "./paging.js";
import { requireId, requireName } from "./validation.js";

/** CSI CreateSnapshot: returns once cut; the same name for another volume is refused. */
export async function createSnapshot(
  deps: ControllerDeps,
  ctx: Context,
  request: CreateSnapshotRequest__Output,
): Promise<CreateSnapshotResponse> {
  const volumeId = requireId("source_volume_id", request.source_volume_id);
  const name = requireName("name", request.name);
  for (const key of Object.keys(request.parameters)) {
    if (!key.startsWith("csi.storage.k8s.io/"))
      throw invalid(`parameters: unknown key ${JSON.stringify(key)}; a snapshot class takes none of its own`);
  }
  return deps.locks.run([`snapshot:${name}`, volumeId], `CreateSnapshot ${name}`, async () => {
    const existing = await deps.engines.find(ctx, deps.engines.forId(volumeId), (engine) =>
      engine.findSnapshotByName(ctx, name),
    );
    if (existing && existing.sourceVolumeId !== volumeId) {
      throw new StorageError("already-exists", `snapshot ${name} exists, of volume ${existing.sourceVolumeId}`);
    }
    if (existing) return { snapshot: snapshotMessage(existing) };
    const { engine } = await findVolume(deps, ctx, volumeId, "source_volume_id");
    return { snapshot: snapshotMessage(await engine.createSnapshot(ctx, name, volumeId)) };
  });
}

/** CSI DeleteSnapshot: gone is OK; a member of a group goes with its group only. */
export async function deleteSnapshot(
  deps: ControllerDeps,
  ctx: Context,
  request: DeleteSnapshotRequest__Output,
): Promise<DeleteSnapshotResponse> {
  const id = requireId("snapshot_id", request.snapshot_id);
  return deps.locks.run([id], `DeleteSnapshot ${id}`, async () => {
    const engine = deps.engines.forId(id);
    const snapshot = await engine?.getSnapshot(ctx, id);
    if (!engine || !snapshot) return {};
    if (snapshot.groupId !== "")
      throw invalid(`snapshot ${id} is a member of group ${snapshot.groupId}: delete the group`);
    await engine.deleteSnapshot(ctx, id);
    return {};
  });
}

/** CSI ListSnapshots: an unknown filter is an empty list. */
export async function listSnapshots(
  deps: ControllerDeps,
  ctx: Context,
  request: ListSnapshotsRequest__Output,
): Promise<ListSnapshotsResponse> {
  const { afterId, limit } = pageRequest(request, "s");
  // One that is named is looked up; all of an engine's are listed only for who asks for all.
  const named = request.snapshot_id === "" ? request.source_volume_id : request.snapshot_id;
  const engine = deps.engines.forId(named);
  const engines = named === "" ? deps.engines.all : engine ? [engine] : [];
  const matching = (await Promise.all(engines.map((one) => one.listSnapshots(ctx))))
    .flat()
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .filter((s) => request.snapshot_id === "" || s.id === request.snapshot_id)
    .filter((s) => request.source_volume_id === "" || s.sourceVolumeId === request.source_volume_id)
    .filter((s) => s.id > afterId);
  const page = limit === 0 ? matching : matching.slice(0, limit);
  return {
    entries: page.map((snapshot) => ({ snapshot: snapshotMessage(snapshot) })),
    next_token: matching.length > page.length ? (page.at(-1)?.id ?? "") : "",
  };
}

/** CSI GetSnapshot. */
export async function getSnapshot(
  deps: ControllerDeps,
  ctx: Context,
  request: GetSnapshotRequest__Output,
): Promise<GetSnapshotResponse> {
  const id = requireId("snapshot_id", request.snapshot_id);
  const { snapshot } = await findSnapshot(deps, ctx, id);
  return { snapshot: snapshotMessage(snapshot) };
}
