import { refused, StorageError } from "../../errors/storage-error.js";
import type { UpstreamRequest } from "./client.js";

/** What the upstream's codes mean to who asked the engine. What is not here goes by its status. */
const CODES: ReadonlyMap<string, (message: string) => StorageError> = new Map([
  ["NoSuchBucket", (message) => refused("no-such-bucket", message)],
  ["NoSuchKey", (message) => refused("no-such-key", message)],
  ["NoSuchVersion", (message) => refused("no-such-version", message)],
  ["NoSuchUpload", (message) => refused("no-such-upload", message)],
  ["PreconditionFailed", (message) => refused("precondition-failed", message)],
  ["ConditionalRequestConflict", (message) => refused("conflict", message)],
  ["BucketAlreadyExists", (message) => refused("bucket-exists", message)],
  ["BucketAlreadyOwnedByYou", (message) => refused("bucket-exists", message)],
  ["BucketNotEmpty", (message) => refused("bucket-not-empty", message)],
  ["EntityTooLarge", (message) => refused("object-too-large", message)],
  ["EntityTooSmall", (message) => refused("part-too-small", message)],
  ["InvalidPart", (message) => refused("invalid-part", message)],
  ["InvalidPartOrder", (message) => refused("invalid-part-order", message)],
  ["KeyTooLongError", (message) => refused("key-too-long", message)],
  ["QuotaExceeded", (message) => refused("storage-full", message)],
  ["TooManyBuckets", (message) => new StorageError("resource-exhausted", message)],
  ["SlowDown", (message) => refused("busy", message)],
  ["ServiceUnavailable", (message) => refused("busy", message)],
  ["RequestTimeout", (message) => refused("busy", message)],
  ["AccessDenied", (message) => credentials(message)],
  ["InvalidAccessKeyId", (message) => credentials(message)],
  ["SignatureDoesNotMatch", (message) => credentials(message)],
  ["RequestTimeTooSkewed", (message) => credentials(message)],
  ["NotImplemented", (message) => new StorageError("unimplemented", message)],
] satisfies [string, (message: string) => StorageError][]);

const credentials = (message: string) =>
  new StorageError(
    "failed-precondition",
    `${message}: s3Upstream's accessKey must be a user's that may do all in its buckets`,
  );

const STATUSES: ReadonlyMap<number, string> = new Map([
  [403, "AccessDenied"],
  [404, "NoSuchKey"],
  [412, "PreconditionFailed"],
  [501, "NotImplemented"],
  [503, "SlowDown"],
  [507, "QuotaExceeded"],
]);

/** An answer that is an error. Its message names the request and what the upstream says, and nothing of the credentials. */
export function failureOfAnswer(request: Pick<UpstreamRequest, "method">, status: number, text: string): StorageError {
  const code = element(text, "Code") ?? STATUSES.get(status) ?? "";
  const said = [code, element(text, "Message")?.slice(0, 200)].filter(Boolean).join(", ");
  const message = `the upstream answered ${request.method} with ${status}${said === "" ? "" : ` (${said})`}`;
  const known = CODES.get(code);
  if (known) return known(message);
  if (status === 409) return refused("conflict", message);
  if (status === 408 || status === 429 || (status >= 502 && status <= 504)) return refused("busy", message);
  return new StorageError(status === 500 ? "unavailable" : "internal", message);
}

/** Error documents are small and flat: no parser is needed to find a word in one. */
function element(text: string, name: string): string | undefined {
  const start = text.indexOf(`<${name}>`);
  const end = text.indexOf(`</${name}>`, start);
  return start === -1 || end === -1 ? undefined : text.slice(start + name.length + 2, end);
}

/** Connections that are refused, end early or stand still: nothing is known of what was asked, and asking again is right. */
export function failureOfConnection(error: unknown): StorageError {
  const { code, message } =
    error instanceof Error ? (error as Error & { code?: string }) : { code: "", message: String(error) };
  return refused(
    "busy",
    `the upstream does not answer: ${code && !message.includes(code) ? `${code}, ` : ""}${message}`,
    {
      cause: error,
    },
  );
}
