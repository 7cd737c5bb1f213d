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

/** The one error that crosses layers. Its message is shown to users: it names the field and holds no secret. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "StorageError";
    this.code = code;
  }
}

export const invalid = (message: string) => new StorageError("invalid-argument", message);
export const notFound = (message: string) => new StorageError("not-found", message);

/** The text of anything thrown, for messages that wrap a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
