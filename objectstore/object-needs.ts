import { S3Error, toS3Error } from "../src/errors/s3-error.js";
import { StorageError } from "../src/errors/storage-error.js";
import type { Bucket } from "../src/model/bucket.js";
import type { ObjectVersion, Pairs } from "../src/model/object.js";
import { needsAclPermission } from "./access/acl-headers.js";
import { tagConditions } from "./access/condition-keys.js";
import { bareEtag } from "./http/conditions.js";
import { parseIsoTime } from "./iso-time.js";
import { tagsFromHeader } from "./tags.js";
import type { Need, RequestContext } from "./types.js";
import { versionNamed } from "./version-id.js";

type Headers = ReadonlyMap<string, string>;
type Conditions = Map<string, readonly string[]>;

/** Headers whose condition key is `s3:` and their own name (service authorization reference, Amazon S3). */
const BY_OWN_NAME = [
  "x-amz-acl",
  "x-amz-grant-full-control",
  "x-amz-grant-read",
  "x-amz-grant-read-acp",
  "x-amz-grant-write",
  "x-amz-grant-write-acp",
  "x-amz-metadata-directive",
  "x-amz-storage-class",
  "x-amz-website-redirect-location",
  "if-match",
  "if-none-match",
] as const;

const LOCK_PREFIX = "x-amz-object-lock-";
const LOCK_KEYS = ["mode", "retain-until-date", "legal-hold"] as const;
const DAY_MS = 86_400_000;

/** Adds `s3:requestobjecttag/KEY` of each tag, and their keys. */
export function addTagConditions(conditions: Conditions, tags: Pairs): void {
  for (const [key, values] of tagConditions(tags)) conditions.set(key, values);
}

/** Adds `s3:object-lock-remaining-retention-days` of a retention asked for. */
export function addRetentionConditions(conditions: Conditions, mode: string, untilMs: number, nowMs: number): void {
  conditions.set("s3:object-lock-mode", [mode]);
  conditions.set("s3:object-lock-retain-until-date", [new Date(untilMs).toISOString()]);
  conditions.set("s3:object-lock-remaining-retention-days", [String(Math.ceil((untilMs - nowMs) / DAY_MS))]);
}

/**
 * The condition keys that a write's headers bring.
 *
 * @throws S3Error as tagsFromHeader does: tags that cannot be read cannot be judged
 */
export function writeConditions(headers: Headers, createsObject: boolean): Conditions {
  const conditions: Conditions = new Map();
  for (const name of BY_OWN_NAME) {
    const value = headers.get(name);
    if (value !== undefined) conditions.set(`s3:${name}`, [value]);
  }
  for (const key of LOCK_KEYS) {
    const value = headers.get(LOCK_PREFIX + key);
    if (value !== undefined) conditions.set(`s3:object-lock-${key}`, [value]);
  }
  const untilMs = parseIsoTime(headers.get("x-amz-object-lock-retain-until-date") ?? "");
  if (untilMs !== undefined) {
    const days = Math.ceil((untilMs - Date.now()) / DAY_MS);
    conditions.set("s3:object-lock-remaining-retention-days", [String(days)]);
  }
  const tags = headers.get("x-amz-tagging");
  if (tags !== undefined) addTagConditions(conditions, tagsFromHeader(tags));
  conditions.set("s3:objectcreationoperation", [String(createsObject)]);
  return conditions;
}

/** `s3:versionid` of a request that names a version. */
export function versionConditions(versionId: string | undefined): Conditions {
  return new Map(versionId === undefined ? [] : [["s3:versionid", [versionId]]]);
}

const NO_CONDITIONS = () => new Map<string, readonly string[]>();

/** A need on a version, or on the current one. */
export function versionNeed(
  action: string,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
  object?: ObjectVersion,
): Need {
  const conditions = versionId === undefined ? NO_CONDITIONS : () => versionConditions(versionId);
  return object === undefined ? { action, bucket, key, conditions } : { action, bucket, key, object, conditions };
}

/** What a write is, for who may do it. */
export interface Write {
  readonly bucket: Bucket;
  readonly key: string;
  /** False for the parts of an upload and for its beginning: s3:ObjectCreationOperation. */
  readonly createsObject: boolean;
  /** Condition keys beside those of the headers: a copy's source. */
  readonly extra?: readonly (readonly [key: string, value: string])[];
}

/**
 * Asks for s3:PutObject, and for what else the headers take: tags, an ACL, retention and a legal hold are permissions of
 * their own, and If-Match with an ETag tells what the object is (user guide, "Conditional writes").
 *
 * @throws S3Error AccessDenied
 */
export async function allowWrite(ctx: RequestContext, write: Write): Promise<void> {
  const { bucket, key } = write;
  const { headers } = ctx.request;
  const conditions = () => {
    const map = writeConditions(headers, write.createsObject);
    for (const [name, value] of write.extra ?? []) map.set(name, [value]);
    return map;
  };
  await ctx.allow({ action: "s3:PutObject", bucket, key, conditions });
  if (headers.has("x-amz-tagging")) await ctx.allow({ action: "s3:PutObjectTagging", bucket, key, conditions });
  if (needsAclPermission(headers)) await ctx.allow({ action: "s3:PutObjectAcl", bucket, key, conditions });
  if (headers.has("x-amz-object-lock-mode") || headers.has("x-amz-object-lock-retain-until-date")) {
    await ctx.allow({ action: "s3:PutObjectRetention", bucket, key, conditions });
  }
  if (headers.has("x-amz-object-lock-legal-hold")) {
    await ctx.allow({ action: "s3:PutObjectLegalHold", bucket, key, conditions });
  }
  const ifMatch = headers.get("if-match");
  if (ifMatch !== undefined) await allowEtagCondition(ctx, bucket, key, ifMatch);
}

/** An ETag in If-Match asks what the object is, so it takes s3:GetObject; `*` asks only whether it is there. */
export async function allowEtagCondition(
  ctx: RequestContext,
  bucket: Bucket,
  key: string,
  ifMatch: string,
): Promise<void> {
  if (bareEtag(ifMatch) === "*") return;
  const object = await currentOrNone(ctx, bucket, key);
  await ctx.allow(versionNeed("s3:GetObject", bucket, key, undefined, object));
}

/** The current version, for a decision alone: undefined where there is none. */
export async function currentOrNone(
  ctx: RequestContext,
  bucket: Bucket,
  key: string,
  versionId?: string,
): Promise<ObjectVersion | undefined> {
  try {
    return await ctx.engine.head(ctx, { bucket: bucket.name, key, versionId });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether an engine's error says that there is no such object: those that not everybody may be told of. */
export function isMissing(error: unknown): error is StorageError {
  return (
    error instanceof StorageError &&
    (error.reason === "no-such-key" || error.reason === "no-such-version" || error.reason === "delete-marker")
  );
}

/**
 * The error for a caller whose object is not there: as it is for who may list the bucket, AccessDenied for others, who
 * would learn which keys exist (GetObject, "Permissions"). Any other error comes back as it is.
 */
export async function missingFor(
  ctx: RequestContext,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
  error: unknown,
): Promise<unknown> {
  if (!isMissing(error)) return versionNamed(error, versionId);
  if (!(await ctx.allowed({ action: "s3:ListBucket", bucket }))) return new S3Error("AccessDenied");
  return namedError(error, ctx.request.method, key, versionId);
}

/** The engine's error in S3's words, with the elements that S3's has. */
function namedError(error: StorageError, method: string, key: string, versionId: string | undefined): S3Error {
  const { code, headers } = toS3Error(error);
  const fields =
    error.reason === "delete-marker"
      ? { Method: method, ResourceType: "DeleteMarker" }
      : { Key: key, ...(versionId === undefined ? {} : { VersionId: versionId }) };
  return new S3Error(code, undefined, { cause: error, headers, fields });
}
