import { S3Error } from "../src/errors/s3-error.js";
import type { Bucket } from "../src/model/bucket.js";
import type { S3Request } from "./types.js";

/**
 * The version that a request names; undefined for the current one.
 *
 * @throws S3Error InvalidArgument for an empty one
 */
export function requestedVersion(request: Pick<S3Request, "query">): string | undefined {
  const versionId = request.query.get("versionId");
  if (versionId !== "") return versionId;
  throw new S3Error("InvalidArgument", "Version id cannot be the empty string", {
    fields: { ArgumentName: "versionId", ArgumentValue: "" },
  });
}

/** Whether answers about this bucket's objects name versions: once it was versioned, "null" is one too. */
export function hasVersions(bucket: Bucket): boolean {
  return bucket.versioning !== "off";
}
