import type { Bucket } from "../src/model/bucket.js";
import type { ObjectAttributes, ObjectVersion, Pairs } from "../src/model/object.js";
import { accessOfNewObject } from "./access/new-acl.js";
import { readMetadata, storageClassOf, type WrittenMetadata } from "./attributes.js";
import { addChecksumHeaders } from "./checksum-headers.js";
import { expirationHeader } from "./lifecycle/headers.js";
import { lockOfNewObject } from "./object-lock.js";
import { tagsFromHeader } from "./tags.js";
import type { RequestContext } from "./types.js";

const NO_TAGS: Pairs = [];

/** The tags that the request's header gives. @throws S3Error InvalidArgument, InvalidTag, BadRequest */
export function headerTags(headers: ReadonlyMap<string, string>): Pairs {
  const header = headers.get("x-amz-tagging");
  return header === undefined ? NO_TAGS : tagsFromHeader(header);
}

/**
 * All that a write's headers say of the object (PutObject, CreateMultipartUpload, CopyObject, PostObject). A copy gives
 * the metadata and tags that it takes from its source.
 *
 * @param headers the request's; of a POST form its fields under the headers' names
 * @throws S3Error for what the headers say wrong
 */
export function newObjectAttributes(
  ctx: RequestContext,
  bucket: Bucket,
  headers: ReadonlyMap<string, string>,
  kept: { readonly metadata?: WrittenMetadata; readonly tags?: Pairs } = {},
): ObjectAttributes {
  const words = ctx.auth.type === "POST" ? "as-they-are" : "decoded";
  const { contentType, system, user } = kept.metadata ?? readMetadata(headers, words);
  const { ownerId, acl } = accessOfNewObject(ctx, bucket, headers);
  const { retention, legalHold } = lockOfNewObject(bucket, headers, Date.now());
  return {
    contentType,
    system,
    user,
    storageClass: storageClassOf(headers),
    tags: kept.tags ?? headerTags(headers),
    acl,
    ownerId,
    retention,
    legalHold: headers.has("x-amz-object-lock-legal-hold") ? legalHold : null,
  };
}

/**
 * The headers of every answer to a write: the version, and when the lifecycle ends it. A write to a bucket whose
 * versioning is suspended names no version, though its later reads name "null" (PutObject, the sample responses).
 */
export function versionHeaders(ctx: RequestContext, bucket: Bucket, version: ObjectVersion): Record<string, string> {
  const headers: Record<string, string> = {};
  if (bucket.versioning === "enabled") headers["x-amz-version-id"] = version.versionId;
  const expiration = expirationHeader(bucket, version, ctx.settings.lifecycleDayMs);
  if (expiration !== undefined) headers["x-amz-expiration"] = expiration;
  return headers;
}

/** The headers of an answer to PutObject and PostObject: those, ETag and checksum. */
export function writtenHeaders(ctx: RequestContext, bucket: Bucket, version: ObjectVersion): Record<string, string> {
  const headers = versionHeaders(ctx, bucket, version);
  headers.etag = `"${version.etag}"`;
  addChecksumHeaders(headers, version.checksum);
  return headers;
}
