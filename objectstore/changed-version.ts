import type { VersionChange } from "../src/engines/object-engine.js";
import { S3Error } from "../src/errors/s3-error.js";
import { StorageError } from "../src/errors/storage-error.js";
import type { ObjectVersion } from "../src/model/object.js";
import { missingFor, versionNeed } from "./object-needs.js";
import type { RequestContext } from "./types.js";
import { hasVersions, requestedVersion } from "./version-id.js";

/**
 * The version that a request on a subresource is about (tagging, retention, legal hold, ACL). Not authorized yet: its own
 * tags have a say in that.
 *
 * @param hidden what a key is whose current version is a delete marker: these subresources mostly say 405
 * @throws S3Error NoSuchKey, NoSuchVersion, MethodNotAllowed of a delete marker; AccessDenied to who may not list
 */
export async function subjectOf(
  ctx: RequestContext,
  hidden: "NoSuchKey" | "MethodNotAllowed" = "MethodNotAllowed",
): Promise<{ version: ObjectVersion; versionId: string | undefined }> {
  const { bucket, key } = ctx;
  const versionId = requestedVersion(ctx.request);
  try {
    return { version: await ctx.engine.head(ctx, { bucket: bucket.name, key, versionId }), versionId };
  } catch (error) {
    const told = await missingFor(ctx, bucket, key, versionId, error);
    const marker = error instanceof StorageError && error.deleteMarker !== undefined;
    if (!marker || hidden === "NoSuchKey" || !(told instanceof S3Error && told.code === "NoSuchKey")) throw told;
    throw new S3Error("MethodNotAllowed", undefined, {
      cause: error,
      headers: told.headers,
      fields: { Method: ctx.request.method, ResourceType: "DeleteMarker" },
    });
  }
}

/**
 * The version that is read, once it is allowed.
 *
 * @param actions for the current version, and for one that the request names
 * @throws S3Error AccessDenied, and what subjectOf throws
 */
export async function allowedSubject(
  ctx: RequestContext,
  actions: { readonly current: string; readonly named: string },
  hidden?: "NoSuchKey",
): Promise<ObjectVersion> {
  const { version, versionId } = await subjectOf(ctx, hidden);
  const action = versionId === undefined ? actions.current : actions.named;
  await ctx.allow(versionNeed(action, ctx.bucket, ctx.key, versionId, version));
  return version;
}

const ATTEMPTS = 5;

/**
 * Looks at a version, asks whether it may be changed, and changes it: all again where another was put in its place in
 * between, as that one's owner and tags may say otherwise.
 *
 * @throws what `attempt` throws; the last conflict
 */
export async function retryingConflicts<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (tried === ATTEMPTS || !(error instanceof StorageError && error.reason === "conflict")) throw error;
    }
  }
}

/** Changes exactly the version that was looked at. @throws StorageError conflict where it is another by now */
export async function changeSubject(
  ctx: RequestContext,
  version: ObjectVersion,
  change: VersionChange,
): Promise<Record<string, string>> {
  const ref = { bucket: ctx.bucket.name, key: ctx.key, versionId: version.versionId };
  await ctx.engine.changeVersion(ctx, ref, { ...change, generation: version.generation });
  return versionHeader(ctx, version);
}

/** x-amz-version-id, where the bucket has versions. */
export function versionHeader(ctx: RequestContext, version: ObjectVersion): Record<string, string> {
  return hasVersions(ctx.bucket) ? { "x-amz-version-id": version.versionId } : {};
}
