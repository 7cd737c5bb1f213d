/**
 * A snapshot: record (creating), the subvolume's snapshot, record (ready); away in the other order, by way of deleting. It
 * outlives its volume: Ceph keeps a removed subvolume's snapshots, and the last of them takes the rest of it away.
 */
import { StorageError } from "../../../errors/storage-error.js";
import type { Snapshot } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import { hashOf, keyOf, newToken, snapshotId, snapshotName, subvolumeName } from "./names.js";
import { type SnapshotRecord, snapshotOf } from "./record.js";
import { findSnapshot, readyVolume, type Shelf, snapshotKey, volumeKey } from "./shelf.js";

export async function createSnapshot(shelf: Shelf, ctx: Context, name: string, sourceId: string): Promise<Snapshot> {
  const { place } = await shelf.facts(ctx);
  const hash = hashOf(name);
  // What is no id of this engine's is told to be missing, below.
  const source = keyOf(sourceId, "v", place);
  const keys = [snapshotKey(shelf, hash), ...(source ? [volumeKey(shelf, source.hash)] : [])];
  return shelf.lock.run(ctx, keys, `CreateSnapshot ${hash}`, async (held) => {
    const volume = await readyVolume(shelf, held, sourceId);
    const existing = await shelf.snapshots.get(held, hash);
    if (existing?.state === "ready") throw new StorageError("already-exists", `snapshot ${name} exists`);
    const goesOn = existing?.state === "creating" && existing.sourceVolumeId === sourceId;
    if (existing && !goesOn) await removeSnapshot(shelf, held, hash, existing);
    const { capacityBytes, fsType, token } = volume.record;
    const record: SnapshotRecord = {
      ...{ v: 1, state: "creating", name, sourceVolumeId: sourceId, fsType, createdMs: Date.now() },
      token: goesOn ? existing.token : newToken(),
      subvolume: subvolumeName(volume.hash, token),
      sizeBytes: capacityBytes,
    };
    await shelf.snapshots.put(held, hash, record);
    step("cephfs-snapshot/claimed");
    await shelf.subvolumes.cut(held, record.subvolume, snapshotName(hash, record.token));
    step("cephfs-snapshot/cut");
    const ready: SnapshotRecord = { ...record, state: "ready" };
    await shelf.snapshots.put(held, hash, ready);
    step("cephfs-snapshot/recorded");
    return snapshotOf(ready, place, hash);
  });
}

export async function deleteSnapshot(shelf: Shelf, ctx: Context, id: string): Promise<void> {
  const key = keyOf(id, "s", (await shelf.facts(ctx)).place);
  if (!key) return;
  await shelf.lock.run(ctx, [snapshotKey(shelf, key.hash)], `DeleteSnapshot ${id}`, async (held) => {
    const found = await findSnapshot(shelf, held, id);
    if (found) await removeSnapshot(shelf, held, found.hash, found.record);
  });
}

async function removeSnapshot(shelf: Shelf, ctx: Context, hash: string, record: SnapshotRecord): Promise<void> {
  await shelf.snapshots.put(ctx, hash, { ...record, state: "deleting" });
  step("cephfs-delete-snapshot/marked");
  try {
    await shelf.subvolumes.removeSnapshot(ctx, record.subvolume, snapshotName(hash, record.token));
  } catch (error) {
    // It is being copied from, and goes on to be there until that is done.
    if (error instanceof StorageError && error.code === "aborted") await shelf.snapshots.put(ctx, hash, record);
    throw error;
  }
  step("cephfs-delete-snapshot/removed");
  await shelf.snapshots.remove(ctx, hash);
  step("cephfs-delete-snapshot/forgotten");
}

/** Deletions that a controller which died did not end. */
export async function endSnapshotDeletions(shelf: Shelf, ctx: Context): Promise<void> {
  const { place } = await shelf.facts(ctx);
  for (const [hash, { state, token }] of await shelf.snapshots.list(ctx))
    if (state === "deleting") await deleteSnapshot(shelf, ctx, snapshotId(place, hash, token));
}
