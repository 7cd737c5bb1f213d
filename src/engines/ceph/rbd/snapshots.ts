import { notFound, StorageError } from "../../../errors/storage-error.js";
import type { Snapshot } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Context, Extent } from "../../types.js";
import type { Tail } from "./cluster-lock.js";
import { type ImageInfo, isCode, type Place, unlessMissing } from "./images.js";
import { claimImage, hashOf, hiddenImage, makeRef, parseRef, type Ref, snapshotName } from "./names.js";
import { decodeSnapshot, encodeRecord, FORMAT_KEY, type SnapshotRecord, snapshotKey, snapshotOf } from "./records.js";
import { trash } from "./removal.js";
import { type Found, findByRef, type RbdWorld, volumeLock, withSnapshots } from "./world.js";

/** Linux maps no image with more than 510 snapshots; those that clones still need count too. */
export const MAX_SNAPSHOTS = 450;

export interface FoundSnapshot {
  ref: Ref;
  place: Place;
  record: SnapshotRecord;
}

export const snapshotLock = (hash: string): string => `s-${hash}`;

/** One that is being deleted too. */
export async function findSnapshot(world: RbdWorld, ctx: Context, id: string): Promise<FoundSnapshot | undefined> {
  const ref = parseRef(id, "s");
  const place = ref && (await world.places.byId(ctx, ref.place));
  if (!place) return undefined;
  const metadata = await unlessMissing(world.images.metadata(ctx, place, claimImage("s", ref.hash)));
  const record = decodeSnapshot(metadata?.[snapshotKey(ref.imageId)], `of snapshot ${id}`);
  return record && { ref, place, record };
}

/** A claim is never a clone: the one record that it holds is its own. */
export function readSnapshot(
  place: Place,
  hash: string,
  metadata: Readonly<Record<string, string>>,
): FoundSnapshot | undefined {
  const prefix = snapshotKey("");
  const [key] = Object.keys(metadata).filter((one) => one.startsWith(prefix));
  if (key === undefined) return undefined;
  const record = decodeSnapshot(metadata[key], `${key} of ${claimImage("s", hash)}`);
  return record && { ref: makeRef("s", place.id, hash, key.slice(prefix.length)), place, record };
}

/** Cuts a snapshot: it exists from the moment that its record is written, into an image that is its name's claim. */
export async function createSnapshot(world: RbdWorld, ctx: Context, name: string, volumeId: string): Promise<Snapshot> {
  const volume = parseRef(volumeId, "v");
  if (!volume) throw notFound(`volume ${volumeId} does not exist`);
  const hash = hashOf(name);
  const home = await world.places.home(ctx);
  return world.lock.run(ctx, home, [snapshotLock(hash), volumeLock(volume.hash)], async (bounded, tail) => {
    const source = await requireSource(world, bounded, volume);
    const claim = await claimSnapshot(world, bounded, { place: source.place, hash }, tail);
    const cut = snapshotName(claim.id);
    try {
      // One that is there is a dead controller's, of another moment.
      await world.images.cut(bounded, source.place, source.image, cut).catch(async (error: unknown) => {
        if (!isCode(error, "already-exists")) throw error;
        await world.images.removeSnapshot(bounded, source.place, source.image, cut);
        await world.images.cut(bounded, source.place, source.image, cut);
      });
      step("rbd-snapshot/cut");
      const record = newRecord(source, name, "");
      await putSnapshot(world, bounded, source.place, hash, claim.id, record);
      step("rbd-snapshot/recorded");
      return snapshotOf(makeRef("s", source.place.id, hash, claim.id), record);
    } catch (error) {
      tail.after(async (late) => {
        await world.images.removeSnapshot(late, source.place, source.image, cut);
        await unlessMissing(world.images.remove(late, source.place, claimImage("s", hash)));
      });
      throw error;
    }
  });
}

/** @throws StorageError not-found; resource-exhausted when the volume has as many snapshots as Linux maps */
export async function requireSource(world: RbdWorld, ctx: Context, ref: Ref): Promise<Found> {
  const place = await world.places.byId(ctx, ref.place);
  const [found, cuts] = await Promise.all([
    findByRef(world, ctx, ref),
    place && unlessMissing(world.images.snapshots(ctx, place, claimImage("v", ref.hash), true)),
  ]);
  if (found?.record.state !== "ready") throw notFound(`source_volume_id: volume ${ref.id} does not exist`);
  if ((cuts?.length ?? 0) >= MAX_SNAPSHOTS)
    throw new StorageError(
      "resource-exhausted",
      `volume ${ref.id} has ${cuts?.length} snapshots, with those that clones still need: at most ${MAX_SNAPSHOTS} can be mapped`,
    );
  return found;
}

export function newRecord({ record, ref, metadata }: Found, name: string, groupId: string): SnapshotRecord {
  return {
    ...{ state: "ready", name, sourceVolumeId: ref.id, sizeBytes: record.capacityBytes, createdMs: Date.now() },
    ...{ groupId, fsType: record.fsType, format: metadata[FORMAT_KEY] ?? "", depth: record.depth },
  };
}

export const putSnapshot = (
  world: RbdWorld,
  ctx: Context,
  place: Place,
  hash: string,
  imageId: string,
  record: SnapshotRecord,
) => world.images.setMetadata(ctx, place, claimImage("s", hash), snapshotKey(imageId), encodeRecord(record));

/**
 * The claim of a snapshot's name: made, or taken over from a dead controller.
 *
 * @param isLeftover whatever has the name is a dead controller's, as that of a group that does not exist is
 * @throws StorageError already-exists
 */
export async function claimSnapshot(
  world: RbdWorld,
  ctx: Context,
  { place, hash, isLeftover = false }: { place: Place; hash: string; isLeftover?: boolean },
  tail: Tail,
): Promise<ImageInfo> {
  const image = claimImage("s", hash);
  try {
    await world.images.create(ctx, place, image, 0n);
  } catch (error) {
    if (!isCode(error, "already-exists")) throw error;
    const metadata = (await unlessMissing(world.images.metadata(ctx, place, image))) ?? {};
    const found = readSnapshot(place, hash, metadata);
    if (found?.record.state === "ready" && !isLeftover)
      throw new StorageError("already-exists", `snapshot ${found.record.name} exists: ${found.ref.id}`, {
        cause: error,
      });
    if (found) await removeSnapshot(world, ctx, found, tail);
    else await unlessMissing(world.images.remove(ctx, place, image));
    await world.images.create(ctx, place, image, 0n);
  }
  step("rbd-snapshot/claimed");
  return world.images.info(ctx, place, image);
}

/** Deletes a snapshot; the image of a volume that was deleted before goes with its last one. */
export async function deleteSnapshot(world: RbdWorld, ctx: Context, id: string): Promise<void> {
  const ref = parseRef(id, "s");
  if (!ref) return;
  const [home, before] = await Promise.all([world.places.home(ctx), findSnapshot(world, ctx, id)]);
  const volume = before && parseRef(before.record.sourceVolumeId, "v");
  if (!volume) return;
  await world.lock.run(ctx, home, [snapshotLock(ref.hash), volumeLock(volume.hash)], async (bounded, tail) => {
    const found = await findSnapshot(world, bounded, id);
    if (found) await removeSnapshot(world, bounded, found, tail);
  });
}

/** Under the locks of its name and its volume. It stays visible, as not ready, until the last step: a retry goes on. */
export async function removeSnapshot(world: RbdWorld, ctx: Context, found: FoundSnapshot, tail: Tail): Promise<void> {
  const { ref, place, record } = found;
  const volume = parseRef(record.sourceVolumeId, "v");
  if (record.state === "ready") {
    await putSnapshot(world, ctx, place, ref.hash, ref.imageId, { ...record, state: "deleting" });
    step("rbd-delete-snapshot/hidden");
  }
  if (volume) {
    // Which image it is of tells the name: of a volume that is made anew by the same name it has no snapshot.
    await world.images.removeSnapshot(ctx, place, claimImage("v", volume.hash), snapshotName(ref.imageId));
    await world.images.removeSnapshot(ctx, place, hiddenImage(volume.imageId), snapshotName(ref.imageId));
    step("rbd-delete-snapshot/removed");
    await trashIfLast(world, ctx, place, volume, tail);
  }
  await unlessMissing(world.images.remove(ctx, place, claimImage("s", ref.hash)));
  step("rbd-delete-snapshot/unclaimed");
}

async function trashIfLast(world: RbdWorld, ctx: Context, place: Place, volume: Ref, tail: Tail): Promise<void> {
  const image = hiddenImage(volume.imageId);
  const left = await unlessMissing(world.images.snapshots(ctx, place, image));
  if (left?.length === 0) await trash(world, ctx, place, image, volume.imageId, tail);
}

/** What a snapshot holds, or with a base what it may hold otherwise than that: whole objects. */
export async function extentsOf(
  world: RbdWorld,
  ctx: Context,
  baseId: string | undefined,
  targetId: string,
): Promise<Extent[]> {
  const [base, target] = await Promise.all([
    baseId === undefined ? undefined : requireSnapshot(world, ctx, baseId),
    requireSnapshot(world, ctx, targetId),
  ]);
  const volume = parseRef(target.record.sourceVolumeId, "v");
  if (!volume) throw notFound(`snapshot ${targetId} does not exist`);
  if (base && base.record.sourceVolumeId !== target.record.sourceVolumeId)
    throw new StorageError("invalid-argument", `snapshots ${baseId} and ${targetId} are of different volumes`);
  const from = base ? snapshotName(base.ref.imageId) : "";
  const extents = await withSnapshots(volume, (image) =>
    world.images.diff(ctx, target.place, image, from, snapshotName(target.ref.imageId)),
  );
  return extents.flatMap((extent) => cutAt(extent, target.record.sizeBytes));
}

function cutAt({ offsetBytes, lengthBytes }: Extent, sizeBytes: bigint): Extent[] {
  if (offsetBytes >= sizeBytes) return [];
  const end = offsetBytes + lengthBytes;
  return [{ offsetBytes, lengthBytes: (end < sizeBytes ? end : sizeBytes) - offsetBytes }];
}

async function requireSnapshot(world: RbdWorld, ctx: Context, id: string): Promise<FoundSnapshot> {
  const found = await findSnapshot(world, ctx, id);
  if (found?.record.state !== "ready") throw notFound(`snapshot ${id} does not exist`);
  return found;
}
