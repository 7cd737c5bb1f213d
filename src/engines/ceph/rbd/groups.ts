import { notFound, StorageError } from "../../../errors/storage-error.js";
import type { SnapshotGroup } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import type { Tail } from "./cluster-lock.js";
import { cutTogether } from "./cut.js";
import { isCode, type Place, unlessMissing } from "./images.js";
import { claimImage, hashOf, makeRef, parseRef, type Ref, snapshotName } from "./names.js";
import { decodeGroup, encodeRecord, type GroupRecord, groupKey, groupOf } from "./records.js";
import {
  claimSnapshot,
  findSnapshot,
  newRecord,
  putSnapshot,
  removeSnapshot,
  requireSource,
  snapshotLock,
} from "./snapshots.js";
import { type Found, type RbdWorld, volumeLock } from "./world.js";

export interface FoundGroup {
  ref: Ref;
  place: Place;
  record: GroupRecord;
}

interface Member {
  source: Found;
  hash: string;
  imageId: string;
}

export const groupLock = (hash: string): string => `g-${hash}`;
/** A member's name is its own: no snapshot of a user's has it. */
const memberName = (groupHash: string, volumeId: string): string => `group ${groupHash} of ${volumeId}`;

export async function findGroup(world: RbdWorld, ctx: Context, id: string): Promise<FoundGroup | undefined> {
  const ref = parseRef(id, "g");
  const place = ref && (await world.places.byId(ctx, ref.place));
  if (!place) return undefined;
  const metadata = await unlessMissing(world.images.metadata(ctx, place, claimImage("g", ref.hash)));
  const record = decodeGroup(metadata?.[groupKey(ref.imageId)], `of group ${id}`);
  return record && { ref, place, record };
}

/** Groups are in the first pool, whatever pools their members are in. */
export async function findGroupByName(world: RbdWorld, ctx: Context, name: string): Promise<FoundGroup | undefined> {
  const place = await world.places.home(ctx);
  const hash = hashOf(name);
  const metadata = await unlessMissing(world.images.metadata(ctx, place, claimImage("g", hash)));
  return metadata && readGroup(place, hash, metadata);
}

export function readGroup(
  place: Place,
  hash: string,
  metadata: Readonly<Record<string, string>>,
): FoundGroup | undefined {
  const prefix = groupKey("");
  const [key] = Object.keys(metadata).filter((one) => one.startsWith(prefix));
  const record = key === undefined ? undefined : decodeGroup(metadata[key], key);
  return key === undefined || !record
    ? undefined
    : { ref: makeRef("g", place.id, hash, key.slice(prefix.length)), place, record };
}

/** Snapshots of many volumes at one moment (cut.ts says how). They and the group exist once its record is written. */
export async function createGroup(
  world: RbdWorld,
  ctx: Context,
  name: string,
  volumeIds: readonly string[],
): Promise<SnapshotGroup> {
  const refs = volumeIds.map((id) => requireRef(id));
  const hash = hashOf(name);
  const home = await world.places.home(ctx);
  const keys = [
    groupLock(hash),
    ...refs.flatMap((ref) => [volumeLock(ref.hash), snapshotLock(hashOf(memberName(hash, ref.id)))]),
  ];
  return world.lock.run(ctx, home, keys, async (bounded, tail) => {
    const groupImage = await claimGroup(world, bounded, home, hash, tail);
    step("rbd-group/claimed");
    const members: Member[] = [];
    try {
      for (const source of await Promise.all(refs.map((ref) => requireSource(world, bounded, ref)))) {
        const memberHash = hashOf(memberName(hash, source.ref.id));
        const { id } = await claimSnapshot(
          world,
          bounded,
          { place: source.place, hash: memberHash, isLeftover: true },
          tail,
        );
        members.push({ source, hash: memberHash, imageId: id });
      }
      step("rbd-group/members-claimed");
      await cutTogether(
        world.images,
        bounded,
        members.map(({ source, imageId }) => ({ ...source, snapshot: snapshotName(imageId) })),
      );
      step("rbd-group/cut");
      return await record(world, bounded, { ref: makeRef("g", home.id, hash, groupImage), home, name, members });
    } catch (error) {
      tail.after((late) => undo(world, late, home, hash, members));
      throw error;
    }
  });
}

function requireRef(id: string): Ref {
  const ref = parseRef(id, "v");
  if (!ref) throw notFound(`source_volume_ids: volume ${id} does not exist`);
  return ref;
}

async function record(
  world: RbdWorld,
  ctx: Context,
  { ref, home, name, members }: { ref: Ref; home: Place; name: string; members: readonly Member[] },
): Promise<SnapshotGroup> {
  const createdMs = Date.now();
  await Promise.all(
    members.map(({ source, hash, imageId }) =>
      putSnapshot(world, ctx, source.place, hash, imageId, {
        ...newRecord(source, memberName(ref.hash, source.ref.id), ref.id),
        createdMs,
      }),
    ),
  );
  step("rbd-group/members-recorded");
  const group: GroupRecord = {
    ...{ state: "ready", name, createdMs },
    snapshotIds: members.map(({ source, hash, imageId }) => makeRef("s", source.place.id, hash, imageId).id),
    sourceVolumeIds: members.map(({ source }) => source.ref.id),
  };
  await world.images.setMetadata(ctx, home, claimImage("g", ref.hash), groupKey(ref.imageId), encodeRecord(group));
  step("rbd-group/recorded");
  return groupOf(ref, group);
}

async function undo(
  world: RbdWorld,
  ctx: Context,
  home: Place,
  hash: string,
  members: readonly Member[],
): Promise<void> {
  for (const { source, hash: memberHash, imageId } of members) {
    await world.images.removeSnapshot(ctx, source.place, source.image, snapshotName(imageId));
    await unlessMissing(world.images.remove(ctx, source.place, claimImage("s", memberHash)));
  }
  await unlessMissing(world.images.remove(ctx, home, claimImage("g", hash)));
}

/** The claim of a group's name: its image's id. @throws StorageError already-exists */
async function claimGroup(world: RbdWorld, ctx: Context, home: Place, hash: string, tail: Tail): Promise<string> {
  const image = claimImage("g", hash);
  try {
    await world.images.create(ctx, home, image, 0n);
  } catch (error) {
    if (!isCode(error, "already-exists")) throw error;
    const found = readGroup(home, hash, (await unlessMissing(world.images.metadata(ctx, home, image))) ?? {});
    if (found?.record.state === "ready")
      throw new StorageError("already-exists", `group ${found.record.name} exists: ${found.ref.id}`, { cause: error });
    if (found) await removeGroup(world, ctx, found, tail);
    else await unlessMissing(world.images.remove(ctx, home, image));
    await world.images.create(ctx, home, image, 0n);
  }
  return (await world.images.info(ctx, home, image)).id;
}

/** Everything that a group's members are changed under. */
export const groupLocks = ({ ref, record }: FoundGroup): string[] => [
  groupLock(ref.hash),
  ...record.sourceVolumeIds.map((volumeId) => volumeLock(requireRef(volumeId).hash)),
];

/** Deletes a group with its members. */
export async function deleteGroup(world: RbdWorld, ctx: Context, id: string): Promise<void> {
  const before = await findGroup(world, ctx, id);
  if (!before) return;
  const home = await world.places.home(ctx);
  await world.lock.run(ctx, home, groupLocks(before), async (bounded, tail) => {
    const found = await findGroup(world, bounded, id);
    if (found) await removeGroup(world, bounded, found, tail);
  });
}

export async function removeGroup(world: RbdWorld, ctx: Context, { ref, place, record }: FoundGroup, tail: Tail) {
  const image = claimImage("g", ref.hash);
  if (record.state === "ready") {
    const hidden = encodeRecord({ ...record, state: "deleting" });
    await world.images.setMetadata(ctx, place, image, groupKey(ref.imageId), hidden);
    step("rbd-delete-group/hidden");
  }
  for (const snapshotId of record.snapshotIds) {
    const found = await findSnapshot(world, ctx, snapshotId);
    if (found) await removeSnapshot(world, ctx, found, tail);
  }
  step("rbd-delete-group/members-removed");
  await unlessMissing(world.images.remove(ctx, place, image));
  step("rbd-delete-group/unclaimed");
}
