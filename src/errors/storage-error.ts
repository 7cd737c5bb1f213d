/** Every way in which storage work can fail. Closed: the protocol tables are total over it. */
export const STORAGE_ERROR_CODES = [
  "invalid-argument",
  "not-found",
  "already-exists",
  "failed-precondition",
  "aborted",
  "out-of-range",
  "resource-exhausted",
  "unavailable",
  "unimplemented",
  "deadline-exceeded",
  "cancelled",
  "internal",
] as const;

export type StorageErrorCode = (typeof STORAGE_ERROR_CODES)[number];

/** Why object storage refused, where the code alone says too little: each has its own S3 error. Closed, like the codes. */
export const OBJECT_REASONS = [
  "no-such-bucket",
  "no-such-key",
  "no-such-version",
  "no-such-upload",
  "delete-marker",
  "bucket-exists",
  "bucket-not-empty",
  "precondition-failed",
  "conflict",
  "invalid-part",
  "invalid-part-order",
  "part-too-small",
  "object-too-large",
  "key-too-long",
  "quota-exceeded",
  "object-locked",
  "invalid-bucket-state",
  "storage-full",
  "read-only",
  "damaged",
  "busy",
  "timed-out",
] as const;

export type ObjectReason = (typeof OBJECT_REASONS)[number];

export interface StorageErrorOptions {
  cause?: unknown;
  reason?: ObjectReason;
  /** Of reason delete-marker, and of no-such-key where a delete marker hides the key: that marker's version id. */
  deleteMarker?: { versionId: string; lastModifiedMs: number };
}

/** The one error that crosses layers. Its message is shown to users: it names the field and holds no secret. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;
  readonly reason: ObjectReason | undefined;
  readonly deleteMarker: StorageErrorOptions["deleteMarker"];

  constructor(code: StorageErrorCode, message: string, options: StorageErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StorageError";
    this.code = code;
    this.reason = options.reason;
    this.deleteMarker = options.deleteMarker;
  }
}

const CODE_OF_REASON = {
  "no-such-bucket": "not-found",
  "no-such-key": "not-found",
  "no-such-version": "not-found",
  "no-such-upload": "not-found",
  "delete-marker": "not-found",
  "bucket-exists": "already-exists",
  "bucket-not-empty": "failed-precondition",
  "precondition-failed": "failed-precondition",
  conflict: "aborted",
  "invalid-part": "invalid-argument",
  "invalid-part-order": "invalid-argument",
  "part-too-small": "invalid-argument",
  "object-too-large": "invalid-argument",
  "key-too-long": "invalid-argument",
  "quota-exceeded": "resource-exhausted",
  "object-locked": "failed-precondition",
  "invalid-bucket-state": "failed-precondition",
  "storage-full": "resource-exhausted",
  "read-only": "failed-precondition",
  damaged: "internal",
  busy: "unavailable",
  "timed-out": "deadline-exceeded",
} satisfies Record<ObjectReason, StorageErrorCode>;

/** A StorageError whose code follows from its reason. */
export function refused(reason: ObjectReason, message: string, options: Omit<StorageErrorOptions, "reason"> = {}) {
  return new StorageError(CODE_OF_REASON[reason], message, { ...options, reason });
}

export const invalid = (message: string) => new StorageError("invalid-argument", message);
export const notFound = (message: string) => new StorageError("not-found", message);

/** The text of anything thrown, for messages that wrap a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
