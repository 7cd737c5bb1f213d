import { refused } from "../errors/storage-error.js";
import type { Bucket, BucketChange, BucketConfigKind, NewBucket } from "../model/bucket.js";

type Config = Partial<Record<BucketConfigKind, string>>;

/** A bucket as it is at first. S3: object lock implies versioning. */
export function madeBucket(bucket: NewBucket, createdMs: number, revision: number): Bucket {
  const { name, ownerId, region, objectLock, durability, quotaBytes, quotaObjects, config } = bucket;
  const { versioning = "off" } = bucket;
  return frozenBucket({
    ...{ name, ownerId, region, objectLock, durability, quotaBytes, quotaObjects, config, createdMs, revision },
    versioning: objectLock ? "enabled" : versioning,
  });
}

/**
 * The bucket with what a change sets.
 *
 * @throws StorageError invalid-bucket-state (S3, "Object Lock": it needs versioning, which then cannot be suspended)
 */
export function changedBucket(bucket: Bucket, change: BucketChange, revision: number): Bucket {
  const versioning = change.versioning ?? bucket.versioning;
  const objectLock = change.objectLock ?? bucket.objectLock;
  if (objectLock && versioning !== "enabled")
    throw refused("invalid-bucket-state", `bucket ${bucket.name}: object lock needs versioning enabled`);
  const config: Config = { ...bucket.config };
  for (const [kind, document] of Object.entries(change.config ?? {}) as [BucketConfigKind, string | null][]) {
    if (document === null) delete config[kind];
    else config[kind] = document;
  }
  return frozenBucket({
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

export const frozenBucket = (bucket: Bucket): Bucket =>
  Object.freeze({ ...bucket, config: Object.freeze(bucket.config) });
