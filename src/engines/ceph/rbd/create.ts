import { StorageError } from "../../../errors/storage-error.js";
import type { Volume, VolumeSpec } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import type { Tail } from "./cluster-lock.js";
import { type ImageInfo, imageSpec, isCode, type Place, unlessMissing } from "./images.js";
import { claimImage, hashOf, makeRef, parseRef, snapshotName, transientSnapshot } from "./names.js";
import { parseClass, parseQos, type RbdClass } from "./parameters.js";
import { decodeVolume, encodeRecord, FORMAT_KEY, recordOf, type VolumeRecord, volumeKey } from "./records.js";
import { finishDelete } from "./removal.js";
import { findSnapshot } from "./snapshots.js";
import { asVolume, type Found, type RbdWorld, requireReady, volumeLock, withSnapshots } from "./world.js";

/** Linux maps an image with at most 16 ancestors; longer chains are slower to read from too. */
const MAX_DEPTH = 8;

/** What a volume is copied from, as it was found before anything was made. */
interface Origin {
  depth: number;
  /** The format record that goes with the content; "" for none. */
  format: string;
  /** Makes `image` of it, and answers what takes away what only the making needed. */
  copy: (ctx: Context, place: Place, image: string, options: readonly string[]) => Promise<() => Promise<void>>;
}

/**
 * Makes a volume. Its image is made by its name, prepared, and is a volume from the moment that its record is written. What
 * a dead controller left before that is taken away by the next create of the name; what it left after is the volume.
 */
export async function createVolume(world: RbdWorld, ctx: Context, spec: VolumeSpec): Promise<Volume> {
  const chosen = parseClass(spec.parameters, world.cluster.config);
  const hash = hashOf(spec.name);
  const [place, home] = await Promise.all([
    world.places.of(ctx, chosen.pool, chosen.namespace),
    world.places.home(ctx),
    spec.source?.type === "volume" ? requireShallow(world, ctx, spec.source.volumeId) : undefined,
  ]);
  const found = await world.lock.run(ctx, home, [volumeLock(hash)], async (bounded, tail) => {
    const origin = await originOf(world, bounded, spec, hash);
    const image = claimImage("v", hash);
    await clearName(world, bounded, place, image, tail);
    const plan: Plan = { spec, place, hash, chosen, origin };
    try {
      return await make(world, bounded, plan, tail);
    } catch (error) {
      // A name without a header is there to a create, and not to anything that asks for the image: seen here first.
      if (!isCode(error, "already-exists")) throw error;
      if ((await inspect(world, bounded, place, image)).is !== "unfinished") throw error;
      await unlessMissing(world.images.remove(bounded, place, image));
      return make(world, bounded, plan, tail);
    }
  });
  return asVolume(found);
}

interface Plan {
  spec: VolumeSpec;
  place: Place;
  hash: string;
  chosen: RbdClass;
  origin: Origin | null;
}

async function make(world: RbdWorld, ctx: Context, plan: Plan, tail: Tail): Promise<Found> {
  const { spec, place, hash, chosen, origin } = plan;
  const image = claimImage("v", hash);
  if (place.namespace !== world.cluster.config.namespace) await world.places.remember(ctx, place);
  try {
    if (origin) {
      const release = await origin.copy(ctx, place, image, chosen.options);
      step("rbd-create/image-made");
      await release();
      step("rbd-create/source-released");
    } else {
      await namespaceRefusal(place, world.images.create(ctx, place, image, spec.capacityBytes, chosen.options));
      step("rbd-create/image-made");
    }
    const info = await world.images.info(ctx, place, image);
    const record = await prepare(world, ctx, plan, image, info);
    step("rbd-create/prepared");
    await world.images.setMetadata(ctx, place, image, volumeKey(info.id), encodeRecord(record));
    step("rbd-create/recorded");
    if (origin) tail.later((late) => world.tasks.flatten(late, place, image));
    return { ref: makeRef("v", place.id, hash, info.id), place, image, metadata: {}, record };
  } catch (error) {
    // Another controller's volume by that name is not ours to undo.
    if (!isCode(error, "already-exists")) tail.after((late) => undo(world, late, place, image));
    throw error;
  }
}

/** An image that has no record of its own is no volume yet. */
async function undo(world: RbdWorld, ctx: Context, place: Place, image: string): Promise<void> {
  const state = await inspect(world, ctx, place, image);
  if (state.is === "unfinished") await unlessMissing(world.images.remove(ctx, place, image));
}

async function namespaceRefusal(place: Place, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isCode(error, "not-found") || place.namespace === "") throw error;
    throw new StorageError(
      "failed-precondition",
      `pool ${place.pool} has no namespace ${place.namespace}: make it with rbd namespace create ${place.pool}/${place.namespace}`,
      { cause: error },
    );
  }
}

/** Size, limits and format record of an image that nobody knows of yet; without what a clone got from its parent. */
async function prepare(
  world: RbdWorld,
  ctx: Context,
  { spec, place, origin }: Plan,
  image: string,
  info: ImageInfo,
): Promise<VolumeRecord> {
  const wanted = parseQos({ ...spec.parameters, ...spec.mutableParameters }, "parameters");
  if (origin && origin.format !== "") wanted.set(FORMAT_KEY, origin.format);
  // The source may be larger than its record says, where an expand of it was cut off.
  const capacityBytes = info.sizeBytes > spec.capacityBytes ? info.sizeBytes : spec.capacityBytes;
  const copied = origin ? Object.keys(await world.images.metadata(ctx, place, image)) : [];
  const foreign = copied.filter((key) => /^(?:granary\.|conf_rbd_qos_)/.test(key) && !wanted.has(key));
  await Promise.all([
    info.sizeBytes < capacityBytes ? world.images.resize(ctx, place, image, capacityBytes) : undefined,
    ...foreign.map((key) => world.images.removeMetadata(ctx, place, image, key)),
    ...[...wanted].map(([key, value]) => world.images.setMetadata(ctx, place, image, key, value)),
  ]);
  return recordOf({ ...spec, capacityBytes }, origin ? origin.depth + 1 : 0);
}

type State = { is: "absent" | "unfinished" } | { is: "ready" | "deleted"; found: Found };

async function inspect(world: RbdWorld, ctx: Context, place: Place, image: string): Promise<State> {
  const metadata = await unlessMissing(world.images.metadata(ctx, place, image));
  // An image whose making was cut off early has a name and no header: there, to create, and not found, to anything else.
  const info = metadata && (await unlessMissing(world.images.info(ctx, place, image)));
  if (!metadata || !info)
    return { is: (await world.images.names(ctx, place)).includes(image) ? "unfinished" : "absent" };
  const record = decodeVolume(metadata[volumeKey(info.id)], `of ${imageSpec(place, image)}`);
  if (!record) return { is: "unfinished" };
  const ref = makeRef("v", place.id, image.slice(-24), info.id);
  return { is: record.state, found: { ref, place, image, metadata, record } };
}

/** The name is free of what dead controllers left. @throws StorageError already-exists for a volume */
async function clearName(world: RbdWorld, ctx: Context, place: Place, image: string, tail: Tail): Promise<void> {
  const metadata = await unlessMissing(world.images.metadata(ctx, place, image));
  if (metadata === undefined) return;
  const state = await inspect(world, ctx, place, image);
  if (state.is === "ready")
    throw new StorageError("already-exists", `volume ${state.found.record.name} exists: ${state.found.ref.id}`);
  if (state.is === "deleted") return finishDelete(world, ctx, state.found, tail);
  if (state.is === "unfinished") await unlessMissing(world.images.remove(ctx, place, image));
}

async function originOf(world: RbdWorld, ctx: Context, { source }: VolumeSpec, hash: string): Promise<Origin | null> {
  if (source === null) return null;
  return source.type === "snapshot"
    ? ofSnapshot(world, ctx, source.snapshotId)
    : ofVolume(world, ctx, source.volumeId, hash);
}

async function ofSnapshot(world: RbdWorld, ctx: Context, id: string): Promise<Origin> {
  const snapshot = await findSnapshot(world, ctx, id);
  const volume = snapshot && parseRef(snapshot.record.sourceVolumeId, "v");
  if (snapshot?.record.state !== "ready" || !volume)
    throw new StorageError("not-found", `volume_content_source: snapshot ${id} does not exist`);
  const { record, place: from, ref } = snapshot;
  if (record.depth >= MAX_DEPTH)
    await withSnapshots(volume, (image) => flattenFirst(world, ctx, from, image, record.depth));
  return {
    depth: record.depth >= MAX_DEPTH ? 0 : record.depth,
    format: record.format,
    copy: async (late, place, image, options) => {
      await withSnapshots(volume, (of) =>
        world.images.clone(late, imageSpec(from, of, snapshotName(ref.imageId)), place, image, options),
      );
      return async () => {};
    },
  };
}

async function ofVolume(world: RbdWorld, ctx: Context, id: string, hash: string): Promise<Origin> {
  const { place: from, image: of, metadata, record } = await requireReady(world, ctx, id);
  const cut = transientSnapshot(hash);
  return {
    depth: record.depth >= MAX_DEPTH ? 0 : record.depth,
    // Read before the cut: content that a record has not caught up with is foreign, and is never formatted.
    format: metadata[FORMAT_KEY] ?? "",
    copy: async (late, place, image, options) => {
      // One that is there is a dead controller's, of another moment.
      await world.images.removeSnapshot(late, from, of, cut);
      await world.images.cut(late, from, of, cut);
      step("rbd-create/source-cut");
      await world.images.clone(late, imageSpec(from, of, cut), place, image, options);
      return () => world.images.removeSnapshot(late, from, of, cut);
    },
  };
}

async function requireShallow(world: RbdWorld, ctx: Context, id: string): Promise<void> {
  const { place, image, record } = await requireReady(world, ctx, id);
  if (record.depth >= MAX_DEPTH) await flattenFirst(world, ctx, place, image, record.depth);
}

/** @throws StorageError aborted while an image at the end of a long chain of clones still is one */
async function flattenFirst(world: RbdWorld, ctx: Context, place: Place, image: string, depth: number): Promise<void> {
  const { hasParent } = await world.images.info(ctx, place, image);
  if (!hasParent) return;
  const task = await world.tasks.find(ctx, "flatten", place, image);
  if (!task) await world.tasks.flatten(ctx, place, image);
  throw new StorageError(
    "aborted",
    `volume_content_source: it is the ${depth}th clone of a clone, and is made independent first (${Math.floor((task?.progress ?? 0) * 100)} % done); retry later`,
  );
}
