import { status } from "@grpc/grpc-js";
import { StorageError, type StorageErrorCode } from "./storage-error.js";

const GRPC_STATUS = {
  "invalid-argument": status.INVALID_ARGUMENT,
  "not-found": status.NOT_FOUND,
  "already-exists": status.ALREADY_EXISTS,
  "failed-precondition": status.FAILED_PRECONDITION,
  aborted: status.ABORTED,
  "out-of-range": status.OUT_OF_RANGE,
  "resource-exhausted": status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  unimplemented: status.UNIMPLEMENTED,
  "deadline-exceeded": status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  internal: status.INTERNAL,
} satisfies Record<StorageErrorCode, status>;

export interface GrpcFailure {
  code: status;
  details: string;
}

/**
 * The gRPC status of a failure. Anything but a StorageError is INTERNAL with the request's id only: its text may
 * hold a secret and goes to the log alone (CSI: a message always, error details empty).
 */
export function toGrpcFailure(error: unknown, requestId: string): GrpcFailure {
  if (error instanceof StorageError) {
    return { code: GRPC_STATUS[error.code], details: clip(error.message) };
  }
  return { code: status.INTERNAL, details: `internal error; see the log for request ${requestId}` };
}

// A message may quote what the caller sent, of any length, and travels in an HTTP/2 trailer of at most 8 KiB or so,
// where each byte outside ASCII takes three.
const LONGEST = 640;

/** The ends of a long message. Half of a surrogate pair, which no encoder takes and which would end the server: U+FFFD. */
function clip(message: string): string {
  const whole =
    message.length <= LONGEST
      ? message
      : `${message.slice(0, LONGEST / 2)} [... ${message.length - LONGEST} characters ...] ${message.slice(-LONGEST / 2)}`;
  return Buffer.from(whole).toString();
}
