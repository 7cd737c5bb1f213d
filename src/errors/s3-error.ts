import { S3_CODES, type S3Code } from "./s3-codes.js";
import { type ObjectReason, StorageError, type StorageErrorCode } from "./storage-error.js";

export interface S3ErrorOptions {
  cause?: unknown;
  /** Elements beside Code and Message: BucketName, Key, ArgumentName ... */
  fields?: Readonly<Record<string, string>>;
  headers?: Readonly<Record<string, string>>;
}

/** What the gateway answers with. Its message is shown to the client: it holds no secret. */
export class S3Error extends Error {
  readonly code: S3Code;
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: S3Code, message?: string, options: S3ErrorOptions = {}) {
    super(message ?? S3_CODES[code][1], options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "S3Error";
    this.code = code;
    this.status = S3_CODES[code][0];
    this.fields = options.fields ?? {};
    this.headers = options.headers ?? {};
  }
}

const OF_REASON = {
  "no-such-bucket": "NoSuchBucket",
  "no-such-key": "NoSuchKey",
  "no-such-version": "NoSuchVersion",
  "no-such-upload": "NoSuchUpload",
  "delete-marker": "MethodNotAllowed",
  "bucket-exists": "BucketAlreadyExists",
  "bucket-not-empty": "BucketNotEmpty",
  "precondition-failed": "PreconditionFailed",
  conflict: "ConditionalRequestConflict",
  "invalid-part": "InvalidPart",
  "invalid-part-order": "InvalidPartOrder",
  "part-too-small": "EntityTooSmall",
  "object-too-large": "EntityTooLarge",
  "key-too-long": "KeyTooLongError",
  "quota-exceeded": "QuotaExceeded",
  "object-locked": "AccessDenied",
  "invalid-bucket-state": "InvalidBucketState",
  "storage-full": "StorageFull",
  "read-only": "ServiceUnavailable",
  damaged: "InternalError",
  busy: "SlowDown",
  "timed-out": "ServiceUnavailable",
} satisfies Record<ObjectReason, S3Code>;

const OF_CODE = {
  "invalid-argument": "InvalidArgument",
  "not-found": "NoSuchKey",
  "already-exists": "BucketAlreadyExists",
  "failed-precondition": "InvalidRequest",
  aborted: "OperationAborted",
  "out-of-range": "InvalidArgument",
  "resource-exhausted": "SlowDown",
  unavailable: "ServiceUnavailable",
  unimplemented: "NotImplemented",
  "deadline-exceeded": "ServiceUnavailable",
  cancelled: "RequestTimeout",
  internal: "InternalError",
} satisfies Record<StorageErrorCode, S3Code>;

/** Reasons whose own text says more than S3's message, and tells nobody what is not theirs to know. */
const SAYS_MORE: ReadonlySet<ObjectReason> = new Set([
  "object-too-large",
  "quota-exceeded",
  "invalid-bucket-state",
  "storage-full",
  "read-only",
  "damaged",
  "busy",
  "timed-out",
]);

/** Until when and by what, only who may read the lock is told. */
const LOCKED = "Access Denied because object protected by object lock.";

function messageFor(error: StorageError): string | undefined {
  if (error.reason === undefined) return error.code === "internal" ? undefined : error.message;
  if (error.reason === "object-locked") return LOCKED;
  return SAYS_MORE.has(error.reason) ? error.message : undefined;
}

/**
 * The S3 error of a failure. What is neither an S3Error nor a StorageError is InternalError without its text, which may
 * hold a secret and goes to the log alone.
 */
export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (!(error instanceof StorageError)) return new S3Error("InternalError", undefined, { cause: error });
  const code = error.reason ? OF_REASON[error.reason] : OF_CODE[error.code];
  const marker = error.deleteMarker;
  const headers: Record<string, string> = {};
  if (marker) {
    headers["x-amz-delete-marker"] = "true";
    headers["x-amz-version-id"] = marker.versionId;
    if (error.reason === "delete-marker") {
      headers["last-modified"] = new Date(marker.lastModifiedMs).toUTCString();
      headers.allow = "DELETE";
    }
  }
  return new S3Error(code, messageFor(error), { cause: error, headers });
}
