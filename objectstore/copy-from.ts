import type { CopyObject } from "../src/engines/object-engine.js";
import { S3Error } from "../src/errors/s3-error.js";
import { StorageError } from "../src/errors/storage-error.js";
import type { Bucket } from "../src/model/bucket.js";
import type { ObjectVersion } from "../src/model/object.js";
import { checkExpectedOwner } from "./access/decide.js";
import { type CopySource, parseCopySource } from "./copy-source.js";
import { checkSourceConditions } from "./http/conditions.js";
import { missingFor, versionNeed } from "./object-needs.js";
import type { Need, RequestContext } from "./types.js";
import { hasVersions } from "./version-id.js";

const HEADER = "x-amz-copy-source";
/** How often a copy looks again at a source that was overwritten while it was copied. */
const ATTEMPTS = 5;

/** What a copy reads, looked at and allowed. */
export interface ReadableSource {
  readonly bucket: Bucket;
  readonly asked: CopySource;
  readonly version: ObjectVersion;
}

/** The request's copy source. @throws S3Error InvalidArgument, KeyTooLongError, NotImplemented */
export function requestedSource(ctx: RequestContext): CopySource {
  return parseCopySource(ctx.request.headers.get(HEADER) ?? "");
}

/** s3:x-amz-copy-source, as policies have it: `bucket/key`, decoded, without the version. */
export function sourceCondition({ bucket, key }: CopySource): readonly [string, string] {
  return [`s3:${HEADER}`, `${bucket}/${key}`];
}

/** The source's bucket. @throws S3Error NoSuchBucket; AccessDenied of x-amz-source-expected-bucket-owner */
export async function sourceBucket(ctx: RequestContext, source: CopySource): Promise<Bucket> {
  const bucket = await ctx.engine.bucket(ctx, source.bucket);
  if (!bucket) throw new S3Error("NoSuchBucket", undefined, { fields: { BucketName: source.bucket } });
  checkExpectedOwner(ctx.request, bucket, "x-amz-source-expected-bucket-owner");
  return bucket;
}

/** A need on the source: its version, where one is named. */
export function sourceNeed(source: ReadableSource, current: string, named: string): Need {
  const { key, versionId } = source.asked;
  return versionNeed(versionId === undefined ? current : named, source.bucket, key, versionId, source.version);
}

/**
 * Looks at the source as it is now, and asks whether the caller may read it and whether its conditions hold.
 *
 * @throws S3Error AccessDenied, NoSuchKey, NoSuchVersion, InvalidRequest for a delete marker, PreconditionFailed
 */
export async function readableSource(ctx: RequestContext, bucket: Bucket, asked: CopySource): Promise<ReadableSource> {
  const { key, versionId } = asked;
  let version: ObjectVersion;
  try {
    version = await ctx.engine.head(ctx, { bucket: bucket.name, key, versionId });
  } catch (error) {
    const told = await missingFor(ctx, bucket, key, versionId, error);
    if (told instanceof S3Error && told.code === "MethodNotAllowed") throw ofDeleteMarker(told);
    throw told;
  }
  const source = { bucket, asked, version };
  await ctx.allow(sourceNeed(source, "s3:GetObject", "s3:GetObjectVersion"));
  checkSourceConditions(ctx.request.headers, `${HEADER}-`, version);
  return source;
}

function ofDeleteMarker(cause: S3Error): S3Error {
  return new S3Error(
    "InvalidRequest",
    "The source of a copy request may not specifically refer to a delete marker by version id.",
    { cause },
  );
}

/** Exactly the version that was looked at, for the engine. */
export function pinned({ bucket, version }: ReadableSource): CopyObject["source"] {
  return {
    bucket: bucket.name,
    key: version.key,
    versionId: version.versionId,
    generation: version.generation,
  };
}

/** x-amz-copy-source-version-id, where the source's bucket has versions. */
export function addSourceVersion(headers: Record<string, string>, { bucket, version }: ReadableSource): void {
  if (hasVersions(bucket)) headers["x-amz-copy-source-version-id"] = version.versionId;
}

/**
 * Copies from the source as it is; one that was overwritten in the meantime is looked at, and asked for, again.
 *
 * @throws what `copy` throws; the last conflict
 */
export async function fromSource<T>(
  ctx: RequestContext,
  bucket: Bucket,
  asked: CopySource,
  copy: (source: ReadableSource) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const source = await readableSource(ctx, bucket, asked);
    try {
      return await copy(source);
    } catch (error) {
      if (attempt === ATTEMPTS || !(error instanceof StorageError && error.reason === "conflict")) throw error;
    }
  }
}
