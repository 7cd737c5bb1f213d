import type { z } from "zod";
import { StorageError } from "../src/errors/storage-error.js";
import type { Bucket, BucketConfigKind } from "../src/model/bucket.js";

/**
 * Reads one kind of a bucket's documents in its typed form, parsed once for each Bucket value. Undefined: the bucket has
 * none.
 *
 * @throws StorageError internal when what is stored is not what was once validated: a damaged rule is never no rule
 */
export function bucketDocument<T>(kind: BucketConfigKind, schema: z.ZodType<T>): (bucket: Bucket) => T | undefined {
  const parsed = new WeakMap<Bucket, T>();
  return (bucket) => {
    const stored = bucket.config[kind];
    if (stored === undefined) return undefined;
    const known = parsed.get(bucket);
    if (known !== undefined) return known;
    const document = read(bucket, kind, stored, schema);
    parsed.set(bucket, document);
    return document;
  };
}

function read<T>(bucket: Bucket, kind: BucketConfigKind, stored: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(stored));
  } catch (cause) {
    throw new StorageError("internal", `bucket ${bucket.name}: its stored ${kind} configuration cannot be read`, {
      cause,
    });
  }
}
