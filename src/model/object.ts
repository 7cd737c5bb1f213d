/**
 * Objects as the engines and the gateway see them. Sizes here are numbers, not bigints: an object has at most 50 TiB,
 * which a double holds exactly, and bigints cost on the way of every request (docs/decisions/007).
 */

export const CHECKSUM_ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** S3's x-amz-checksum-*: `value` is base64; of a COMPOSITE one it ends in `-N`, the count of parts. */
export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: "FULL_OBJECT" | "COMPOSITE";
  readonly value: string;
}

export interface Retention {
  readonly mode: "GOVERNANCE" | "COMPLIANCE";
  readonly untilMs: number;
}

/** Pairs, not objects with the caller's words as keys: `__proto__` is a metadata name like any other. */
export type Pairs = readonly (readonly [name: string, value: string])[];

/** What a write says of the object beside its bytes. */
export interface ObjectAttributes {
  readonly contentType: string;
  /** System metadata by lower-case header name: cache-control, content-disposition, content-encoding, content-language, expires, x-amz-website-redirect-location. */
  readonly system: Pairs;
  /** User metadata, names without `x-amz-meta-`, in lower case. */
  readonly user: Pairs;
  readonly storageClass: string;
  readonly tags: Pairs;
  /** The object's ACL as JSON (objectstore/access); null: private to its owner. */
  readonly acl: string | null;
  readonly ownerId: string;
  readonly retention: Retention | null;
  /** Null: never set, which S3 tells from set to OFF. */
  readonly legalHold: boolean | null;
}

/** The version id of what was written while the bucket was not versioned. */
export const NULL_VERSION = "null";

/** What listings need of a version. */
export interface VersionSummary {
  readonly key: string;
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly deleteMarker: boolean;
  readonly lastModifiedMs: number;
  /** Without quotes; "" for a delete marker. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly storageClass: string;
  readonly ownerId: string;
  readonly checksum: Checksum | null;
  /** Unique to this version in its bucket, and never used again, whatever its version id: what a conditional change names. */
  readonly generation: string;
}

export interface ObjectVersion extends VersionSummary {
  readonly attributes: ObjectAttributes;
  /** How many parts the object was uploaded in; 0: by one PUT. */
  readonly partsCount: number;
}

export interface ObjectPart {
  readonly number: number;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly lastModifiedMs: number;
  /** The part's own checksum, in the upload's algorithm. */
  readonly checksum: Checksum | null;
}

export interface Upload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly initiatorId: string;
  readonly attributes: ObjectAttributes;
  /** What the upload declared; null: the gateway keeps CRC64NVME of each part. */
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  readonly checksumType: "FULL_OBJECT" | "COMPOSITE";
}

export const MAX_KEY_BYTES = 1024;
export const MAX_PARTS = 10_000;
export const MIN_PART_BYTES = 5 * 1024 ** 2;
export const MAX_PART_BYTES = 5 * 1024 ** 3;
export const MAX_PUT_BYTES = 5 * 1024 ** 3;
export const MAX_OBJECT_BYTES = 50 * 1024 ** 4;
