import { StorageError } from "../../../errors/storage-error.js";
import type { Bucket } from "../../../model/bucket.js";
import { frozenBucket } from "../../bucket-change.js";
import type { Document } from "./documents.js";

const FORMAT = 1;
const FOLDER = "buckets/";

/**
 * Where a bucket is in its life. `creating`: the record claims the name, the upstream's bucket may be there or not.
 * `ready`: both are. `changing`: the record says how versions are kept, and the upstream may not do so yet. `deleting`: it is
 * there for nobody any more, and what is left of it upstream is to be removed. An empty document: no bucket.
 */
export type BucketState = "creating" | "ready" | "changing" | "deleting";

export interface BucketDocument {
  readonly state: BucketState;
  readonly bucket: Bucket;
}

export const bucketKey = (name: string): string => FOLDER + name;
export const bucketNameOf = (key: string): string => key.slice(FOLDER.length);

export const bucketText = ({ state, bucket }: BucketDocument): string =>
  JSON.stringify({ format: FORMAT, state, bucket });

/** @throws StorageError failed-precondition for what a later Granary wrote */
export function bucketDocument({ text }: Pick<Document, "text">, name: string): BucketDocument | undefined {
  if (text === "") return undefined;
  const { format, state, bucket } = JSON.parse(text) as BucketDocument & { format: number };
  if (format !== FORMAT)
    throw new StorageError("failed-precondition", `the record of bucket ${name} has format ${format}, not ${FORMAT}`);
  return { state, bucket: frozenBucket(bucket) };
}

/** For all but its makers and removers a bucket is there while it is ready, or changing. */
export const isThere = (document: BucketDocument | undefined): document is BucketDocument =>
  document?.state === "ready" || document?.state === "changing";
