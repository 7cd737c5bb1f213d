import type { Bucket } from "../src/model/bucket.js";
import type { ObjectVersion } from "../src/model/object.js";
import { STANDARD } from "./attributes.js";
import { httpDate } from "./http/dates.js";
import { encodeWords } from "./http/encoded-word.js";
import { expirationHeader } from "./lifecycle/headers.js";
import { versionNeed } from "./object-needs.js";
import type { RequestContext } from "./types.js";
import { hasVersions } from "./version-id.js";

/** What a version says of itself to who may read it. Its keys are from fixed sets, or begin with `x-amz-meta-`. */
export function objectHeaders(bucket: Bucket, version: ObjectVersion, dayMs: number): Record<string, string> {
  const { attributes } = version;
  const headers: Record<string, string> = {
    "last-modified": httpDate(version.lastModifiedMs),
    etag: `"${version.etag}"`,
    "accept-ranges": "bytes",
    "content-type": attributes.contentType,
  };
  for (const [name, value] of attributes.system) headers[name] = value;
  for (const [name, value] of attributes.user) headers[`x-amz-meta-${name}`] = encodeWords(value);
  if (version.storageClass !== STANDARD) headers["x-amz-storage-class"] = version.storageClass;
  if (hasVersions(bucket)) headers["x-amz-version-id"] = version.versionId;
  const expiration = expirationHeader(bucket, version, dayMs);
  if (expiration !== undefined) headers["x-amz-expiration"] = expiration;
  return headers;
}

/** Tags and locks are told to who may ask for them (GetObject, "x-amz-tagging-count", "x-amz-object-lock-mode"). */
export async function addGuardedHeaders(
  ctx: RequestContext,
  headers: Record<string, string>,
  version: ObjectVersion,
  versionId: string | undefined,
): Promise<void> {
  const { tags, retention, legalHold } = version.attributes;
  const may = (action: string) => ctx.allowed(versionNeed(action, ctx.bucket, ctx.key, versionId, version));
  if (tags.length > 0 && (await may(versionId === undefined ? "s3:GetObjectTagging" : "s3:GetObjectVersionTagging"))) {
    headers["x-amz-tagging-count"] = String(tags.length);
  }
  if (retention && (await may("s3:GetObjectRetention"))) {
    headers["x-amz-object-lock-mode"] = retention.mode;
    headers["x-amz-object-lock-retain-until-date"] = new Date(retention.untilMs).toISOString();
  }
  if (legalHold !== null && (await may("s3:GetObjectLegalHold"))) {
    headers["x-amz-object-lock-legal-hold"] = legalHold ? "ON" : "OFF";
  }
}

/** The headers that a 304 keeps (RFC 9110, 15.4.5). */
const KEPT = ["etag", "last-modified", "cache-control", "expires", "x-amz-version-id"] as const;

export function notModifiedHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of KEPT) {
    const value = headers[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
