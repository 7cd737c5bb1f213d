/**
 * Deleting: record (deleting), users revoked, copying ended, subvolume away with its snapshots kept, record away. From the
 * first step on the volume is not found; whoever deletes it again, or wants its name, goes on.
 */
import { StorageError } from "../../../errors/storage-error.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import { authId, keyNamespace, keyObject, keyOf, subvolumeName, volumeId } from "./names.js";
import type { VolumeRecord } from "./record.js";
import { findVolume, type Shelf, volumeKey } from "./shelf.js";

/** @param wanted asked again under the lock: what another controller has changed since then may stay */
export async function deleteVolume(
  shelf: Shelf,
  ctx: Context,
  id: string,
  wanted: (record: VolumeRecord) => boolean = () => true,
): Promise<void> {
  const key = keyOf(id, "v", (await shelf.facts(ctx)).place);
  if (!key) return;
  await shelf.lock.run(ctx, [volumeKey(shelf, key.hash)], `DeleteVolume ${id}`, async (held) => {
    const found = await findVolume(shelf, held, id);
    if (!found || !wanted(found.record)) return;
    const [holder] = found.record.publications;
    if (holder && found.record.state !== "deleting")
      throw new StorageError("failed-precondition", `volume ${id} is still published to node ${holder.nodeId}`);
    await removeVolume(shelf, held, found.hash, found.record);
  });
}

/** Under the volume's lock. */
export async function removeVolume(shelf: Shelf, ctx: Context, hash: string, record: VolumeRecord): Promise<void> {
  const name = subvolumeName(hash, record.token);
  await shelf.volumes.put(ctx, hash, { ...record, state: "deleting" });
  step("cephfs-delete/marked");
  // Nobody may use a volume that is not published: there is a record of that before there is a user.
  for (const { nodeId } of record.publications) {
    await removeKey(shelf, ctx, hash, record.token, nodeId);
    await shelf.subvolumes.revoke(ctx, name, authId(record.token, nodeId));
  }
  step("cephfs-delete/revoked");
  if (record.copy) await shelf.subvolumes.cancelCopy(ctx, name);
  await shelf.subvolumes.remove(ctx, name);
  step("cephfs-delete/removed");
  if (record.copy?.own) await shelf.subvolumes.removeSnapshot(ctx, record.copy.subvolume, record.copy.snapshot);
  await shelf.volumes.remove(ctx, hash);
  step("cephfs-delete/forgotten");
}

export async function removeKey(
  shelf: Shelf,
  ctx: Context,
  hash: string,
  token: string,
  nodeId: string,
): Promise<void> {
  const namespace = keyNamespace(shelf.config.subvolumeGroup, nodeId);
  await shelf.pool.removeObject(ctx, namespace, keyObject(hash, token));
}

// Nobody repeats a create for so long: what it left is nobody's.
const FORGOTTEN_MS = 24 * 3600 * 1000;

/** What controllers that died have left and nobody asked for again: deletions, and creates of yesterday. */
export async function endLeftovers(shelf: Shelf, ctx: Context): Promise<void> {
  const { place } = await shelf.facts(ctx);
  const isLeft = ({ state, createdMs }: VolumeRecord) =>
    state === "deleting" || (state === "creating" && createdMs < Date.now() - FORGOTTEN_MS);
  for (const [hash, record] of await shelf.volumes.list(ctx)) {
    if (!isLeft(record)) continue;
    if (record.state === "creating" && record.copy) {
      const { state } = await shelf.subvolumes.copyStatus(ctx, subvolumeName(hash, record.token));
      if (state === "pending" || state === "in-progress") continue;
    }
    await deleteVolume(shelf, ctx, volumeId(place, hash, record.token), isLeft);
  }
}
