import type { Bucket } from "../../model/bucket.js";
import type { Context } from "../types.js";

/**
 * What the objects' half of this engine asks of the buckets' half, which keeps buckets' records in the reserved bucket.
 * One upstream bucket for each of ours, `prefix + name`; the reserved one is `prefix + "0"`, which no bucket's name comes
 * to, as those have three characters at least.
 */
export interface BucketBook {
  /** As it was a second ago at most. @throws StorageError no-such-bucket */
  known(ctx: Context, name: string): Promise<Bucket>;
  /** @throws StorageError quota-exceeded where so much more does not go into it */
  checkQuota(ctx: Context, bucket: Bucket, more: { objects: number; bytes: number }): Promise<void>;
  /** Of all buckets. */
  names(ctx: Context): AsyncIterable<string>;
}

export const upstreamBucket = (prefix: string, name: string): string => prefix + name;
export const reservedBucket = (prefix: string): string => `${prefix}0`;

/**
 * The reserved bucket's keys, by who owns them. The objects' half: `objects/BUCKET/...` (what is said of a bucket's objects
 * and uploads beside their bytes: all of it goes when the bucket is deleted) and `leases/...`. All others are the buckets'
 * half's: `buckets/...`, `users/...`.
 */
export const objectsFolder = (bucket: string): string => `objects/${bucket}/`;
