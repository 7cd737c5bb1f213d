import { S3Error } from "../../src/errors/s3-error.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { ObjectVersion } from "../../src/model/object.js";
import type { RequestContext } from "../types.js";

/**
 * The version that a request on an object's ACL names, once the caller may do the action on it. Of one that is not there
 * only a caller that may list is told so.
 *
 * @param actions for the current version, and for one that the request names
 * @throws S3Error AccessDenied, InvalidArgument; StorageError no-such-key, no-such-version, delete-marker
 */
export async function allowedVersion(
  ctx: RequestContext,
  actions: { current: string; named: string },
): Promise<ObjectVersion> {
  const versionId = ctx.request.query.get("versionId");
  if (versionId === "") {
    throw new S3Error("InvalidArgument", "Version id cannot be the empty string", {
      fields: { ArgumentName: "versionId", ArgumentValue: "" },
    });
  }
  let version: ObjectVersion;
  try {
    version = await ctx.engine.head(ctx, { bucket: ctx.bucket.name, key: ctx.key, versionId });
  } catch (error) {
    const missing = error instanceof StorageError && error.code === "not-found";
    if (missing && !(await ctx.allowed({ action: "s3:ListBucket" }))) throw new S3Error("AccessDenied");
    throw error;
  }
  const action = versionId === undefined ? actions.current : actions.named;
  await ctx.allow({ action, key: ctx.key, object: version });
  return version;
}
