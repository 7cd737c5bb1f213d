import type { Context } from "../../types.js";
import { type Place, unlessMissing } from "./images.js";
import { type Claim, claimImage, hashOf, hashOfImage } from "./names.js";
import { type FoundSnapshot, readSnapshot } from "./snapshots.js";
import { type Found, type RbdWorld, readVolume } from "./world.js";

/**
 * Volumes in id order. A place's image names are one answer, and sorted they are in the order of ids: only the images of
 * the page are read. What is made or deleted meanwhile is in it or not.
 */
export async function listVolumes(world: RbdWorld, ctx: Context, afterId: string, limit: number): Promise<Found[]> {
  const images = await imagesInOrder(world, ctx, "v", afterId);
  return readPages(
    images,
    limit,
    ({ place, image }) => readImage(world, ctx, place, image),
    (one) => one.ref.id > afterId,
  );
}

export async function listSnapshots(world: RbdWorld, ctx: Context): Promise<FoundSnapshot[]> {
  const claims = await imagesInOrder(world, ctx, "s", "");
  return readPages(
    claims,
    0,
    ({ place, image }) => readClaim(world, ctx, place, image),
    () => true,
  );
}

async function imagesInOrder(
  world: RbdWorld,
  ctx: Context,
  claim: Claim,
  afterId: string,
): Promise<{ place: Place; image: string }[]> {
  const places = await world.places.all(ctx);
  const listed = await Promise.all(
    places.map(async (place) => (await world.images.names(ctx, place)).sort().map((image) => ({ place, image }))),
  );
  return listed.flat().filter(({ place, image }) => {
    const hash = hashOfImage(image, claim);
    // `~` comes after all that an image's id may hold.
    return hash !== undefined && `g1-r-${claim}-${place.id}-${hash}-~` > afterId;
  });
}

const PAGE = 32;

/** Reads in order, some at a time, until there are `limit`; 0: all. */
async function readPages<I, T>(
  items: readonly I[],
  limit: number,
  read: (item: I) => Promise<T | undefined>,
  wanted: (found: T) => boolean,
): Promise<T[]> {
  const found: T[] = [];
  for (let i = 0; i < items.length && (limit === 0 || found.length < limit); i += PAGE) {
    const some = await Promise.all(items.slice(i, i + PAGE).map(read));
    found.push(...some.filter((one) => one !== undefined).filter(wanted));
  }
  return limit === 0 ? found : found.slice(0, limit);
}

async function readImage(world: RbdWorld, ctx: Context, place: Place, image: string): Promise<Found | undefined> {
  const metadata = await unlessMissing(world.images.metadata(ctx, place, image));
  return metadata && readVolume(place, image, metadata, ({ name }) => claimImage("v", hashOf(name)) === image);
}

async function readClaim(
  world: RbdWorld,
  ctx: Context,
  place: Place,
  image: string,
): Promise<FoundSnapshot | undefined> {
  const metadata = await unlessMissing(world.images.metadata(ctx, place, image));
  return metadata && readSnapshot(place, hashOfImage(image, "s") ?? "", metadata);
}

/** The volume of a name, in whatever place it is. */
export async function findVolumeByName(world: RbdWorld, ctx: Context, name: string): Promise<Found | undefined> {
  const places = await world.places.all(ctx);
  const image = claimImage("v", hashOf(name));
  const found = await Promise.all(places.map((place) => readImage(world, ctx, place, image)));
  return found.find((one) => one !== undefined);
}

/** Not one that is being deleted: its name is made anew. */
export async function findSnapshotByName(
  world: RbdWorld,
  ctx: Context,
  name: string,
): Promise<FoundSnapshot | undefined> {
  const places = await world.places.all(ctx);
  const image = claimImage("s", hashOf(name));
  const found = await Promise.all(places.map((place) => readClaim(world, ctx, place, image)));
  return found.find((one) => one?.record.state === "ready");
}
