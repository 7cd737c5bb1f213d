import { StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import { type Images, isCode, type Place } from "./images.js";
import { transientSnapshot } from "./names.js";

export interface ToCut {
  place: Place;
  image: string;
  snapshot: string;
}

const ROUNDS = 4;

/**
 * Cuts snapshots that hold one moment in the order of writes over all images. `rbd group snap create` would, but until
 * Ceph 19 no clone can be made of what it cuts. So each image is cut three times: all of them before, then all, then all
 * after. An image whose cuts before and after are equal did not change in between: its middle cut is what it held at any
 * moment of that. So when at most one image did change, the middle cuts are all what their images held at the moment when
 * that one's was made.
 *
 * @throws StorageError aborted, with nothing left, when two or more are written to all the time
 */
export async function cutTogether(images: Images, ctx: Context, members: readonly ToCut[]): Promise<void> {
  for (const member of members) await forget(images, ctx, member);
  const [only] = members;
  if (members.length === 1 && only) return images.cut(ctx, only.place, only.image, only.snapshot);
  let busy: ToCut[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of [before, at, after])
      await Promise.all(members.map((one) => images.cut(ctx, one.place, one.image, name(one))));
    const changes = await Promise.all(
      members.map((one) => images.diff(ctx, one.place, one.image, before(one), after(one))),
    );
    busy = members.filter((_one, i) => changes[i]?.length !== 0);
    const held = busy.length <= 1;
    await Promise.all(
      members.flatMap((one) =>
        [before, after, ...(held ? [] : [at])].map((name) =>
          images.removeSnapshot(ctx, one.place, one.image, name(one)),
        ),
      ),
    );
    if (held) return;
  }
  throw new StorageError(
    "aborted",
    `${busy.length} of the group's volumes were written to while they were cut, ${ROUNDS} times: no moment is the same in all; pause what writes to them, and retry`,
  );
}

const before = (one: ToCut) => transientSnapshot(`${one.snapshot}-before`);
const at = (one: ToCut) => one.snapshot;
const after = (one: ToCut) => transientSnapshot(`${one.snapshot}-after`);

/** What a dead controller left of an attempt. */
async function forget(images: Images, ctx: Context, member: ToCut): Promise<void> {
  const there = await images.snapshots(ctx, member.place, member.image).catch((error: unknown) => {
    if (isCode(error, "not-found")) return [];
    throw error;
  });
  const mine = new Set([before(member), at(member), after(member)]);
  for (const { name } of there) {
    if (mine.has(name)) await images.removeSnapshot(ctx, member.place, member.image, name);
  }
}
