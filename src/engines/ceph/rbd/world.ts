import type { Logger } from "pino";
import { notFound, StorageError } from "../../../errors/storage-error.js";
import type { Volume } from "../../../model/volume.js";
import type { Context } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import type { ClusterLock } from "./cluster-lock.js";
import { type Images, type Place, unlessMissing } from "./images.js";
import { claimImage, hashOfImage, hiddenImage, makeRef, parseRef, type Ref } from "./names.js";
import type { Places } from "./places.js";
import { decodeVolume, type VolumeRecord, volumeKey, volumeOf } from "./records.js";
import type { Tasks } from "./tasks.js";

/** What every operation of the engine is made from. */
export interface RbdWorld {
  cluster: CephCluster;
  images: Images;
  places: Places;
  lock: ClusterLock;
  tasks: Tasks;
  log: Logger;
}

/** A volume as its image tells it. */
export interface Found {
  ref: Ref;
  place: Place;
  image: string;
  metadata: Readonly<Record<string, string>>;
  record: VolumeRecord;
}

export const volumeLock = (hash: string): string => `v-${hash}`;

/** The volume of an id, hidden ones too; undefined where its image is gone, is another one by now, or was never finished. */
export async function findByRef(world: RbdWorld, ctx: Context, ref: Ref): Promise<Found | undefined> {
  const place = await world.places.byId(ctx, ref.place);
  if (!place) return undefined;
  const image = claimImage("v", ref.hash);
  const metadata = await unlessMissing(world.images.metadata(ctx, place, image));
  const record = decodeVolume(metadata?.[volumeKey(ref.imageId)], `of volume ${ref.id}`);
  return metadata && record && { ref, place, image, metadata, record };
}

/** @throws StorageError not-found */
export async function requireReady(world: RbdWorld, ctx: Context, id: string): Promise<Found> {
  const ref = parseRef(id, "v");
  const found = ref && (await findByRef(world, ctx, ref));
  if (found?.record.state !== "ready") throw notFound(`volume ${id} does not exist`);
  return found;
}

/**
 * The volume that an image is. A record is this image's by its key, which names the image; a copied one of a clone that was
 * never finished names another, whose name is another too, or which is deleted.
 */
export function readVolume(
  place: Place,
  image: string,
  metadata: Readonly<Record<string, string>>,
  isOwn: (record: VolumeRecord) => boolean,
): Found | undefined {
  const hash = hashOfImage(image, "v") ?? "";
  const prefix = volumeKey("");
  const own = Object.entries(metadata).flatMap(([key, value]) => {
    if (!key.startsWith(prefix)) return [];
    const record = decodeVolume(value, `${key} of ${image}`);
    return record?.state === "ready" && isOwn(record) ? [{ record, imageId: key.slice(prefix.length) }] : [];
  });
  const [one] = own;
  if (!one || own.length > 1) return undefined;
  return { ref: makeRef("v", place.id, hash, one.imageId), place, image, metadata, record: one.record };
}

export const asVolume = ({ ref, place, record, image }: Found): Volume =>
  volumeOf(ref, record, {
    ...{ cluster: place.id.split(".")[0] ?? "", pool: place.pool, namespace: place.namespace },
    ...{ image, imageId: ref.imageId },
  });

/**
 * Runs `work` with the image that holds a volume's snapshots: its own, or once it was deleted the hidden one.
 *
 * @throws StorageError not-found when neither is there
 */
export async function withSnapshots<T>(ref: Ref, work: (image: string) => Promise<T>): Promise<T> {
  try {
    return await work(claimImage("v", ref.hash));
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "not-found") throw error;
    return work(hiddenImage(ref.imageId));
  }
}
