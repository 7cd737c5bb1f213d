import type { Bucket, BucketUsage } from "../../../model/bucket.js";
import { readU64, writeU64 } from "./codec.js";

/** A bucket's record: its id, its revision, and the rest as JSON: it is parsed once for a revision. */
const REVISION_AT = 4;
const REST_AT = 12;

export function encodeBucket(id: number, bucket: Bucket): Buffer {
  const rest = Buffer.from(JSON.stringify(bucket));
  const bytes = Buffer.allocUnsafe(REST_AT + rest.length);
  bytes.writeUInt32BE(id, 0);
  writeU64(bytes, bucket.revision, REVISION_AT);
  bytes.set(rest, REST_AT);
  return bytes;
}

export const bucketIdIn = (record: Buffer): number => record.readUInt32BE(0);
export const bucketRevisionIn = (record: Buffer): number => readU64(record, REVISION_AT);

/** `length`: of the record, where it stands in a longer buffer. */
export function decodeBucket(record: Buffer): Bucket {
  const bucket = JSON.parse(record.toString("utf8", REST_AT)) as Bucket;
  return Object.freeze({ ...bucket, config: Object.freeze(bucket.config) });
}

/** The longest bucket name that S3 ever allowed; longer ones are nobody's. */
export const MAX_NAME_BYTES = 255;

const USAGE = ["objects", "bytes", "deleteMarkers", "uploads"] as const;

export function encodeUsage(usage: BucketUsage): Buffer {
  const bytes = Buffer.allocUnsafe(USAGE.length * 8);
  for (const [i, field] of USAGE.entries()) writeU64(bytes, usage[field], i * 8);
  return bytes;
}

export function decodeUsage(bytes: Buffer): BucketUsage {
  return {
    objects: readU64(bytes, 0),
    bytes: readU64(bytes, 8),
    deleteMarkers: readU64(bytes, 16),
    uploads: readU64(bytes, 24),
  };
}
