import { messageOf, StorageError } from "../../../errors/storage-error.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import type { Tail } from "./cluster-lock.js";
import { lastingClients } from "./fencing.js";
import { isCode, type Place, unlessMissing } from "./images.js";
import { hiddenImage, isTransient, parseRef } from "./names.js";
import { encodeRecord, volumeKey } from "./records.js";
import { type Found, findByRef, type RbdWorld, volumeLock } from "./world.js";

/**
 * Deletes a volume: it is hidden by its record, and then its image leaves its name, to Ceph's trash; or, as long as it has
 * snapshots, to a name of its own. Clones do not hold it up: the trash keeps what they need until they are independent.
 */
export async function deleteVolume(world: RbdWorld, ctx: Context, id: string): Promise<void> {
  const ref = parseRef(id, "v");
  if (!ref) return;
  const home = await world.places.home(ctx);
  await world.lock.run(ctx, home, [volumeLock(ref.hash)], async (bounded, tail) => {
    const found = await findByRef(world, bounded, ref);
    if (!found) return;
    await requireUnused(world, bounded, found);
    await hide(world, bounded, found);
    await finishDelete(world, bounded, found, tail);
    tail.forget();
  });
}

async function requireUnused(world: RbdWorld, ctx: Context, { ref, record, place, image }: Found): Promise<void> {
  const [holder] = record.publications;
  if (holder)
    throw new StorageError("failed-precondition", `volume ${ref.id} is still published to node ${holder.nodeId}`);
  const [client] = await lastingClients(world, ctx, place, image);
  if (client)
    throw new StorageError(
      "failed-precondition",
      `volume ${ref.id} is still attached by the client at ${client.address}, which no publication explains`,
    );
}

async function hide(world: RbdWorld, ctx: Context, { ref, record, place, image }: Found): Promise<void> {
  if (record.state === "deleted") return;
  const hidden = encodeRecord({ ...record, state: "deleted" });
  await world.images.setMetadata(ctx, place, image, volumeKey(ref.imageId), hidden);
  step("rbd-delete/hidden");
}

/** Of a hidden volume: its image leaves the name. */
export async function finishDelete(world: RbdWorld, ctx: Context, found: Found, tail: Tail): Promise<void> {
  const { place, image, ref } = found;
  const snapshots = (await world.images.snapshots(ctx, place, image)).map(({ name }) => name);
  const transient = snapshots.filter(isTransient);
  for (const name of transient) await world.images.removeSnapshot(ctx, place, image, name);
  if (snapshots.length > transient.length) {
    await world.images.rename(ctx, place, image, hiddenImage(ref.imageId));
    step("rbd-delete/renamed");
    return;
  }
  await trash(world, ctx, place, image, ref.imageId, tail);
}

/** Moves an image to Ceph's trash, and has the manager empty it. Gone already is fine. */
export async function trash(
  world: RbdWorld,
  ctx: Context,
  place: Place,
  image: string,
  imageId: string,
  tail: Tail,
): Promise<void> {
  await unlessMissing(world.images.toTrash(ctx, place, image));
  step("rbd-delete/trashed");
  tail.later((late) => world.tasks.removeTrashed(late, place, imageId));
}

/** Of what deletes left in Ceph's trash: those that no clone needs any more go. */
export async function emptyTrash(world: RbdWorld, ctx: Context, place: Place): Promise<void> {
  for (const { id, name } of await world.images.trash(ctx, place)) {
    if (!/^granary-[vx]-/.test(name)) continue;
    const task = await world.tasks.find(ctx, "trash remove", place, id);
    if (!task)
      await world.tasks.removeTrashed(ctx, place, id).catch((error: unknown) => {
        if (!isCode(error, "not-found", "aborted")) throw error;
        world.log.debug({ image: id, error: messageOf(error) }, "not removed from the trash yet");
      });
  }
}
