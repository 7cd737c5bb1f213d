import type { WritePreconditions } from "../src/engines/object-engine.js";
import { S3Error } from "../src/errors/s3-error.js";
import { StorageError } from "../src/errors/storage-error.js";
import { conditionFailed } from "./http/conditions.js";

function failedCondition(preconditions: WritePreconditions): string {
  if (preconditions.ifNoneMatch !== undefined) return "If-None-Match";
  if (preconditions.ifMatch !== undefined) return "If-Match";
  return preconditions.ifMatchSizeBytes === undefined ? "x-amz-if-match-last-modified-time" : "x-amz-if-match-size";
}

/** A write's error with the elements that S3's has: the condition that failed, or the key that was not there. */
export function conditionNamed(error: unknown, preconditions: WritePreconditions, key: string): unknown {
  if (!(error instanceof StorageError)) return error;
  if (error.reason === "precondition-failed") return conditionFailed(failedCondition(preconditions));
  if (error.reason === "no-such-key")
    return new S3Error("NoSuchKey", undefined, { cause: error, fields: { Key: key } });
  return error;
}
