import { messageOf, StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import type { Tail } from "./cluster-lock.js";
import { type LongRow, type Place, unlessMissing } from "./images.js";
import { claimImage, hashOf, hashOfImage, isTransient } from "./names.js";
import { decodeVolume, volumeKey } from "./records.js";
import { emptyTrash, finishDelete, trash } from "./removal.js";
import { readSnapshot, removeSnapshot } from "./snapshots.js";
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
      await sweepRow(world, ctx, place, row).catch((error: unknown) => {
        if (error instanceof StorageError && error.code === "unavailable") throw error;
        world.log.info({ image: row.image, error: messageOf(error) }, "left to the next sweep");
      });
    }
    await emptyTrash(world, ctx, place);
  }
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
  if (before?.record.state === "ready") return;
  const volumeHash = before?.record.sourceVolumeId.split("-").at(-2);
  const keys = [`s-${hash}`, ...(volumeHash === undefined ? [] : [volumeLock(volumeHash)])];
  await underLock(world, ctx, keys, async (bounded, tail) => {
    const found = await read(bounded);
    if (found?.record.state === "ready") return;
    if (found) await removeSnapshot(world, bounded, found, tail);
    else await unlessMissing(world.images.remove(bounded, place, image));
  });
}

async function underLock(
  world: RbdWorld,
  ctx: Context,
  keys: readonly string[],
  work: (ctx: Context, tail: Tail) => Promise<void>,
): Promise<void> {
  await world.lock.run(ctx, await world.places.home(ctx), keys, work);
}
