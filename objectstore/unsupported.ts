import { S3Error } from "../src/errors/s3-error.js";

/**
 * Headers that ask for what Granary does not do. They are refused and never ignored: who asks for encryption would
 * believe that the object has it.
 */
const UNSUPPORTED: ReadonlySet<string> = new Set([
  "x-amz-write-offset-bytes",
  "x-amz-fwd-status",
  "x-amz-object-if-metadata-match",
]);

const ENCRYPTION = "x-amz-server-side-encryption";
const SOURCE_ENCRYPTION = "x-amz-copy-source-server-side-encryption";

/** Whether a header asks for what is not implemented. */
export function isUnsupported(name: string): boolean {
  if (!name.startsWith("x-amz-")) return false;
  return name.startsWith(ENCRYPTION) || name.startsWith(SOURCE_ENCRYPTION) || UNSUPPORTED.has(name);
}

/** @throws S3Error NotImplemented, naming the first header that asks for what is not done */
export function refuseUnsupported(headers: ReadonlyMap<string, string>): void {
  for (const name of headers.keys()) if (isUnsupported(name)) throw notImplemented(name);
}

/** @returns S3Error NotImplemented with the header's name, and never its value: that may be a key */
export function notImplemented(header: string, more?: string): S3Error {
  return new S3Error("NotImplemented", undefined, {
    fields: { Header: header, ...(more === undefined ? {} : { additionalMessage: more }) },
  });
}
