import type { Bucket } from "../../src/model/bucket.js";
import type { ObjectVersion } from "../../src/model/object.js";
import { encodeKeyForUrl } from "../xml/write.js";
import { firstAbort, firstExpiry } from "./evaluate.js";
import { lifecycleOf } from "./rule.js";

/**
 * The value of `x-amz-expiration` for a current version, which PutObject, CopyObject, CompleteMultipartUpload, GetObject and
 * HeadObject answer with; undefined where no rule ends its life. The rule's id is percent encoded, so that nothing in it
 * ends the header.
 */
export function expirationHeader(bucket: Bucket, version: ObjectVersion, dayMs: number): string | undefined {
  if (bucket.config.lifecycle === undefined || !version.isLatest) return undefined;
  const { key, sizeBytes, lastModifiedMs } = version;
  const object = { key, sizeBytes, lastModifiedMs, tags: version.attributes.tags };
  const first = firstExpiry(lifecycleOf(bucket)?.rules ?? [], object, dayMs);
  if (!first) return undefined;
  return `expiry-date="${new Date(first.atMs).toUTCString()}", rule-id="${encodeKeyForUrl(first.rule.id)}"`;
}

const NONE: Readonly<Record<string, string>> = Object.freeze({});

/** `x-amz-abort-date` and `x-amz-abort-rule-id`, which CreateMultipartUpload and ListParts answer with; or nothing. */
export function abortHeaders(
  bucket: Bucket,
  upload: { key: string; initiatedMs: number },
  dayMs: number,
): Readonly<Record<string, string>> {
  if (bucket.config.lifecycle === undefined) return NONE;
  const first = firstAbort(lifecycleOf(bucket)?.rules ?? [], upload, dayMs);
  if (!first) return NONE;
  return {
    "x-amz-abort-date": new Date(first.atMs).toUTCString(),
    "x-amz-abort-rule-id": encodeKeyForUrl(first.rule.id),
  };
}
