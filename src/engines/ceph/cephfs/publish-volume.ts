/**
 * Publishing: record, then a Ceph user of this volume on this node alone, then its key where that node reads it. The record
 * comes first: a user that nobody knows of cannot be. Unpublishing takes them away in the other order.
 */
import { checkPublication } from "../../../model/publication.js";
import type { Publication } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import { removeKey } from "./delete-volume.js";
import { authId, keyNamespace, keyObject, keyOf, subvolumeName } from "./names.js";
import { type VolumeRecord, volumeOf } from "./record.js";
import { type FoundVolume, findVolume, readyVolume, type Shelf, volumeHash, volumeKey } from "./shelf.js";

/** Answers the publish context: see `PublishContext` of the node's half. */
export async function publishVolume(
  shelf: Shelf,
  ctx: Context,
  id: string,
  publication: Publication,
): Promise<Record<string, string>> {
  const { place } = await shelf.facts(ctx);
  const hash = volumeHash(id, place);
  return shelf.lock.run(ctx, [volumeKey(shelf, hash)], `ControllerPublishVolume ${id}`, async (held) => {
    const found = await readyVolume(shelf, held, id);
    checkPublication(volumeOf(found.record, place, hash), publication);
    if (!found.record.publications.some(({ nodeId }) => nodeId === publication.nodeId)) {
      const publications = [...found.record.publications, publication];
      await shelf.volumes.put(held, hash, { ...found.record, publications });
    }
    step("cephfs-publish/recorded");
    const user = authId(found.record.token, publication.nodeId);
    const key = await shelf.subvolumes.authorize(
      held,
      subvolumeName(hash, found.record.token),
      user,
      publication.readonly,
    );
    step("cephfs-publish/authorized");
    const namespace = keyNamespace(shelf.config.subvolumeGroup, publication.nodeId);
    await shelf.pool.putObject(held, namespace, keyObject(hash, found.record.token), key);
    step("cephfs-publish/key-kept");
    return context(shelf, held, found, publication);
  });
}

async function context(
  shelf: Shelf,
  ctx: Context,
  { hash, record }: FoundVolume,
  publication: Publication,
): Promise<Record<string, string>> {
  const { filesystem, metadataPool } = await shelf.facts(ctx);
  return {
    cluster: shelf.config.name,
    monitors: shelf.config.monitors.join(","),
    filesystem,
    path: record.path,
    userId: authId(record.token, publication.nodeId),
    keyPool: metadataPool,
    keyNamespace: keyNamespace(shelf.config.subvolumeGroup, publication.nodeId),
    keyObject: keyObject(hash, record.token),
    sizeBytes: String(record.capacityBytes),
    readonly: String(publication.readonly),
    mounter: record.parameters.mounter ?? "",
  };
}

/** `nodeId` "": of all nodes. A client of the node that is still there is cut off first, and it alone. */
export async function unpublishVolume(shelf: Shelf, ctx: Context, id: string, nodeId: string): Promise<void> {
  const key = keyOf(id, "v", (await shelf.facts(ctx)).place);
  if (!key) return;
  await shelf.lock.run(ctx, [volumeKey(shelf, key.hash)], `ControllerUnpublishVolume ${id}`, async (held) => {
    const found = await findVolume(shelf, held, id);
    if (!found) return;
    const { hash, record } = found;
    const leaving = record.publications.filter((one) => nodeId === "" || one.nodeId === nodeId);
    for (const one of leaving) await revoke(shelf, held, hash, record, one.nodeId);
    if (leaving.length === 0) return;
    step("cephfs-unpublish/revoked");
    const publications = record.publications.filter((one) => !leaving.includes(one));
    await shelf.volumes.put(held, hash, { ...record, publications });
    step("cephfs-unpublish/recorded");
  });
}

async function revoke(shelf: Shelf, ctx: Context, hash: string, record: VolumeRecord, nodeId: string): Promise<void> {
  await removeKey(shelf, ctx, hash, record.token, nodeId);
  step("cephfs-unpublish/key-gone");
  await shelf.subvolumes.revoke(ctx, subvolumeName(hash, record.token), authId(record.token, nodeId));
}
