import { messageOf, StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import type { Tail } from "./cluster-lock.js";
import { findGroup, groupLock, groupLocks, readGroup, removeGroup } from "./groups.js";
import { type LongRow, type Place, unlessMissing } from "./images.js";
import { claimImage, hashOf, hashOfImage, isTransient, parseRef } from "./names.js";
import { decodeVolume, volumeKey } from "./records.js";
import { emptyTrash, finishDelete, trash } from "./removal.js";
import { type FoundSnapshot, readSnapshot, removeSnapshot } from "./snapshots.js";
import { type RbdWorld, readVolume, volumeLock } from "./world.js";

/**
 * What dead controllers left and no repeated call has taken up: half-made volumes, hidden ones, claims without a record,
 * snapshots of a call, copies that are not independent yet, and Ceph's trash. Each is looked at under its lock, so that
 * nobody works on it. Any controller may do it, at any time.
 */
export async function sweep(world: RbdWorld, ctx: Context): Promise<void> {
  for (const place of await world.places.all(ctx)) {
    const rows = await world.images.rows(ctx, place);
    for (const row of rows) {
      await sweepRow(world, ctx, place, row).catch(later(world, row.image));
    }
    await sweepOrphans(world, ctx, place).catch(later(world, place.pool));
    await emptyTrash(world, ctx, place);
  }
}

/** One thing that cannot be cleared now holds up no other; a cluster that does not answer does. */
const later = (world: RbdWorld, what: string) => (error: unknown) => {
  if (error instanceof StorageError && error.code === "unavailable") throw error;
  world.log.info({ what, error: messageOf(error) }, "left to the next sweep");
};

/** Cuts whose claim is gone: their volume is free of them, for it would never go as long as it has them. */
async function sweepOrphans(world: RbdWorld, ctx: Context, place: Place): Promise<void> {
  const orphans = findOrphans(await world.images.rows(ctx, place));
  for (const { image } of orphans) {
    const hash = hashOfImage(image, "v");
    if (hash === undefined) continue;
    await underLock(world, ctx, [volumeLock(hash)], async (bounded) => {
      // Claims are made under this lock: what is seen now is not in the middle of it.
      const still = findOrphans(await world.images.rows(bounded, place)).filter((one) => one.image === image);
      for (const { snapshot } of still) await world.images.removeSnapshot(bounded, place, image, snapshot);
    });
  }
}

function findOrphans(rows: readonly LongRow[]): { image: string; snapshot: string }[] {
  const claims = new Set(rows.filter(({ image }) => hashOfImage(image, "s") !== undefined).map(({ id }) => id));
  return rows.flatMap(({ image, snapshot }) => {
    const claim = /^granary-([0-9a-f]+)$/.exec(snapshot ?? "")?.[1];
    return claim === undefined || claims.has(claim) ? [] : [{ image, snapshot: snapshot ?? "" }];
  });
}

async function sweepRow(world: RbdWorld, ctx: Context, place: Place, row: LongRow): Promise<void> {
  const { image, snapshot } = row;
  const hash = hashOfImage(image, "v");
  if (snapshot !== undefined) {
    if (hash !== undefined && isTransient(snapshot)) await sweepTransient(world, ctx, place, image, hash, snapshot);
    return;
  }
  if (hash !== undefined) return sweepVolume(world, ctx, place, image, hash, row);
  if (image.startsWith("granary-x-")) return sweepHidden(world, ctx, place, image);
  const snapshotHash = hashOfImage(image, "s");
  if (snapshotHash !== undefined) return sweepClaim(world, ctx, place, snapshotHash);
  const groupHash = hashOfImage(image, "g");
  if (groupHash !== undefined) return sweepGroup(world, ctx, place, groupHash);
}

async function sweepGroup(world: RbdWorld, ctx: Context, place: Place, hash: string): Promise<void> {
  const image = claimImage("g", hash);
  const read = async (by: Context) =>
    readGroup(place, hash, (await unlessMissing(world.images.metadata(by, place, image))) ?? {});
  const before = await read(ctx);
  if (before?.record.state === "ready") return;
  await underLock(world, ctx, before ? groupLocks(before) : [groupLock(hash)], async (bounded, tail) => {
    const found = await read(bounded);
    if (found?.record.state === "deleting") await removeGroup(world, bounded, found, tail);
    else if (!found) await unlessMissing(world.images.remove(bounded, place, image));
  });
}

/** Under the lock: a call that made it would hold that. */
async function sweepTransient(
  world: RbdWorld,
  ctx: Context,
  place: Place,
  image: string,
  hash: string,
  snapshot: string,
): Promise<void> {
  const target = /^granary-t-([0-9a-f]{24})$/.exec(snapshot)?.[1];
  const keys = [volumeLock(hash), ...(target === undefined ? [] : [volumeLock(target)])];
  await underLock(world, ctx, keys, (bounded) => world.images.removeSnapshot(bounded, place, image, snapshot));
}

async function sweepVolume(
  world: RbdWorld,
  ctx: Context,
  place: Place,
  image: string,
  hash: string,
  row: LongRow,
): Promise<void> {
  const metadata = await unlessMissing(world.images.metadata(ctx, place, image));
  const isOwn = ({ name }: { name: string }) => hashOf(name) === hash;
  const found = metadata && readVolume(place, image, metadata, isOwn);
  if (found) {
    const isCopy = row.parent !== undefined && row.parent !== null;
    if (isCopy && !(await world.tasks.find(ctx, "flatten", place, image))) await world.tasks.flatten(ctx, place, image);
    return;
  }
  await underLock(world, ctx, [volumeLock(hash)], async (bounded, tail) => {
    const info = await unlessMissing(world.images.info(bounded, place, image));
    const now = await unlessMissing(world.images.metadata(bounded, place, image));
    const record = info && decodeVolume(now?.[volumeKey(info.id)], `of ${image}`);
    if (record?.state === "ready") return;
    if (!record || !info || !now) {
      await unlessMissing(world.images.remove(bounded, place, image));
      return;
    }
    const ref = { id: image, place: place.id, hash, imageId: info.id };
    await finishDelete(world, bounded, { ref, place, image, metadata: now, record }, tail);
  });
}

/** A deleted volume's image, whose last snapshot went while its controller died. */
async function sweepHidden(world: RbdWorld, ctx: Context, place: Place, image: string): Promise<void> {
  const left = await unlessMissing(world.images.snapshots(ctx, place, image));
  if (left?.length !== 0) return;
  const imageId = image.slice("granary-x-".length);
  await underLock(world, ctx, [`x-${imageId}`], (bounded, tail) => trash(world, bounded, place, image, imageId, tail));
}

async function sweepClaim(world: RbdWorld, ctx: Context, place: Place, hash: string): Promise<void> {
  const image = claimImage("s", hash);
  const read = async (by: Context) =>
    readSnapshot(place, hash, (await unlessMissing(world.images.metadata(by, place, image))) ?? {});
  const before = await read(ctx);
  if (before && (await isWhole(world, ctx, before))) return;
  const volumeHash = before?.record.sourceVolumeId.split("-").at(-2);
  const group = before && parseRef(before.record.groupId, "g");
  const keys = [
    `s-${hash}`,
    ...(volumeHash === undefined ? [] : [volumeLock(volumeHash)]),
    ...(group ? [groupLock(group.hash)] : []),
  ];
  await underLock(world, ctx, keys, async (bounded, tail) => {
    const found = await read(bounded);
    if (found && (await isWhole(world, bounded, found))) return;
    // A claim that this lock does not cover the volume of: a group's, in the middle of being made.
    if (found && !before) return;
    if (found) await removeSnapshot(world, bounded, found, tail);
    else await unlessMissing(world.images.remove(bounded, place, image));
  });
}

/** There, and its group is too where it is one's member. */
async function isWhole(world: RbdWorld, ctx: Context, { record }: FoundSnapshot): Promise<boolean> {
  if (record.state !== "ready") return false;
  return record.groupId === "" || (await findGroup(world, ctx, record.groupId)) !== undefined;
}

async function underLock(
  world: RbdWorld,
  ctx: Context,
  keys: readonly string[],
  work: (ctx: Context, tail: Tail) => Promise<void>,
): Promise<void> {
  await world.lock.run(ctx, await world.places.home(ctx), keys, work);
}
