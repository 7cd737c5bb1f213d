import { S3Error } from "../src/errors/s3-error.js";
import { StorageError } from "../src/errors/storage-error.js";
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

/** The engine's error with the elements that S3's has, where what the request names was never a version's id. */
export function versionNamed(error: unknown, versionId: string | undefined): unknown {
  if (versionId === undefined || !(error instanceof StorageError) || error.code !== "invalid-argument") return error;
  if (error.reason !== undefined) return error;
  return new S3Error("InvalidArgument", "Invalid version id specified", {
    cause: error,
    fields: { ArgumentName: "versionId", ArgumentValue: versionId },
  });
}
