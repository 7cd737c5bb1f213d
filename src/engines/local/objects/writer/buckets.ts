import { refused } from "../../../../errors/storage-error.js";
import type { Bucket, BucketChange, BucketConfigKind } from "../../../../model/bucket.js";
import { behindPrefix, bucketIdKey } from "../keys.js";
import type { Operations } from "../protocol.js";
import type { Table } from "../tables.js";
import type { BucketState, Store } from "./store.js";

type Config = Partial<Record<BucketConfigKind, string>>;

export function createBucket(store: Store, bucket: Operations["createBucket"]["request"]): Bucket {
  if (store.bucketRecord(bucket.name)) throw refused("bucket-exists", `bucket ${JSON.stringify(bucket.name)} exists`);
  const created = frozen({
    ...bucket,
    createdMs: store.nowMs,
    // S3: object lock implies versioning.
    versioning: bucket.objectLock ? "enabled" : "off",
    revision: store.nextSequence(),
  });
  store.addBucket(created);
  return created;
}

export function changeBucket(store: Store, request: Operations["changeBucket"]["request"]): Bucket {
  const { name, change, revision } = request;
  const state = store.bucketNamed(name);
  const { bucket } = state;
  if (revision !== null && bucket.revision !== revision)
    throw refused("conflict", `bucket ${name} has changed since it was looked at; try again`);
  const changed = apply(bucket, change, store.nextSequence());
  store.putBucket(state.id, changed);
  return changed;
}

/** S3, "Object Lock": it needs versioning, which then cannot be suspended. */
function apply(bucket: Bucket, change: BucketChange, revision: number): Bucket {
  const versioning = change.versioning ?? bucket.versioning;
  const objectLock = change.objectLock ?? bucket.objectLock;
  if (objectLock && versioning !== "enabled")
    throw refused("invalid-bucket-state", `bucket ${bucket.name}: object lock needs versioning enabled`);
  const config: Config = { ...bucket.config };
  for (const [kind, document] of Object.entries(change.config ?? {}) as [BucketConfigKind, string | null][]) {
    if (document === null) delete config[kind];
    else config[kind] = document;
  }
  return frozen({
    ...bucket,
    versioning,
    objectLock,
    durability: change.durability ?? bucket.durability,
    quotaBytes: change.quotaBytes === undefined ? bucket.quotaBytes : change.quotaBytes,
    quotaObjects: change.quotaObjects === undefined ? bucket.quotaObjects : change.quotaObjects,
    config,
    revision,
  });
}

const frozen = (bucket: Bucket): Bucket => Object.freeze({ ...bucket, config: Object.freeze(bucket.config) });

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
