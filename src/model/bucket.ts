/** Whether overwritten and deleted objects are kept: S3's three states of a bucket. "off" until it is first enabled. */
export type Versioning = "off" | "enabled" | "suspended";

/** `strict`: on disk before it is acknowledged. `relaxed`: asked for by the operator; body files are written back by the kernel, some 30 s later. */
export type Durability = "strict" | "relaxed";

/** The documents that S3 attaches to a bucket. Each is kept as JSON text, in the gateway's validated form. */
export const BUCKET_CONFIG_KINDS = [
  "policy",
  "acl",
  "ownership",
  "publicAccessBlock",
  "cors",
  "tagging",
  "lifecycle",
  "objectLock",
] as const;

export type BucketConfigKind = (typeof BUCKET_CONFIG_KINDS)[number];

/**
 * A bucket as every stage sees it. Frozen, and the same value until `revision` changes: what is parsed from `config` may
 * be kept in a WeakMap by the bucket.
 */
export interface Bucket {
  readonly name: string;
  /** The canonical user id of who made it. */
  readonly ownerId: string;
  readonly createdMs: number;
  readonly region: string;
  readonly versioning: Versioning;
  /** Object lock is on for the bucket, which implies versioning; it never goes off again. */
  readonly objectLock: boolean;
  readonly durability: Durability;
  /** Null: no limit. Bytes count every version and every part of an unfinished upload; objects count every version. */
  readonly quotaBytes: number | null;
  readonly quotaObjects: number | null;
  readonly config: Readonly<Partial<Record<BucketConfigKind, string>>>;
  /** Grows with every change of the bucket's own record. */
  readonly revision: number;
}

export interface NewBucket {
  name: string;
  ownerId: string;
  region: string;
  /** From the first object on; with object lock it is enabled, whatever is said here. Left out: off. */
  versioning?: Versioning;
  objectLock: boolean;
  durability: Durability;
  quotaBytes: number | null;
  quotaObjects: number | null;
  config: Partial<Record<BucketConfigKind, string>>;
}

/** What a change sets; what it does not name stays. A config of null is removed. */
export interface BucketChange {
  versioning?: "enabled" | "suspended";
  objectLock?: true;
  durability?: Durability;
  quotaBytes?: number | null;
  quotaObjects?: number | null;
  config?: Partial<Record<BucketConfigKind, string | null>>;
}

/** Exact at the moment of the answer. */
export interface BucketUsage {
  /** Every version but delete markers. */
  objects: number;
  /** Bytes of all versions, and of the parts of unfinished uploads. */
  bytes: number;
  deleteMarkers: number;
  uploads: number;
}
