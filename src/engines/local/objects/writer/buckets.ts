import { refused } from "../../../../errors/storage-error.js";
import type { Bucket } from "../../../../model/bucket.js";
import { changedBucket, madeBucket } from "../../../bucket-change.js";
import { behindPrefix, bucketIdKey } from "../keys.js";
import type { Operations } from "../protocol.js";
import type { Table } from "../tables.js";
import type { BucketState, Store } from "./store.js";

export function createBucket(store: Store, bucket: Operations["createBucket"]["request"]): Bucket {
  if (store.bucketRecord(bucket.name)) throw refused("bucket-exists", `bucket ${JSON.stringify(bucket.name)} exists`);
  const created = madeBucket(bucket, store.nowMs, store.nextSequence());
  store.addBucket(created);
  return created;
}

export function changeBucket(store: Store, request: Operations["changeBucket"]["request"]): Bucket {
  const { name, change, revision } = request;
  const state = store.bucketNamed(name);
  const { bucket } = state;
  if (revision !== null && bucket.revision !== revision)
    throw refused("conflict", `bucket ${name} has changed since it was looked at; try again`);
  const changed = changedBucket(bucket, change, store.nextSequence());
  store.putBucket(state.id, changed);
  return changed;
}

export function deleteBucket(store: Store, { name }: { name: string }): null {
  const state = store.bucketNamed(name);
  const { objects, versions, uploads } = store.tables;
  for (const [table, what] of [
    [objects, "objects"],
    [versions, "versions or delete markers"],
    [uploads, "unfinished uploads"],
  ] as const)
    if (holdsAny(table, state)) throw refused("bucket-not-empty", `bucket ${name} holds ${what}`);
  store.removeBucket(state);
  return null;
}

function holdsAny(table: Table, { id }: BucketState): boolean {
  const start = bucketIdKey(id);
  const end = behindPrefix(start);
  for (const _key of table.getKeys({ start, ...(end ? { end } : {}), limit: 1 })) return true;
  return false;
}
