import { S3Error } from "../src/errors/s3-error.js";
import { MAX_KEY_BYTES } from "../src/model/object.js";

/** What a copy reads from. */
export interface CopySource {
  readonly bucket: string;
  readonly key: string;
  /** Undefined: the current version. */
  readonly versionId: string | undefined;
}

const VERSION = "?versionId=";

function refused(header: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", message, { fields: { ArgumentName: header, ArgumentValue: value } });
}

/** Percent escapes and raw bytes, both of UTF-8; undefined where either is wrong. `+` is itself. */
export function decodePercent(latin1: string): string | undefined {
  const bytes = Buffer.from(latin1, "latin1");
  let length = 0;
  for (let at = 0; at < bytes.length; at++, length++) {
    if (bytes[at] !== 0x25) {
      bytes[length] = bytes[at] as number;
      continue;
    }
    const digits = latin1.slice(at + 1, at + 3);
    if (!/^[0-9a-f]{2}$/i.test(digits)) return undefined;
    bytes[length] = Number.parseInt(digits, 16);
    at += 2;
  }
  const decoded = bytes.subarray(0, length);
  const text = decoded.toString("utf8");
  return Buffer.from(text, "utf8").equals(decoded) ? text : undefined;
}

/**
 * The bucket, key and version of an x-amz-copy-source header: `/bucket/key?versionId=id`, percent encoded, the first slash
 * optional. A `?versionId=` in the header as sent ends the key; else one that the escapes hide does (clients that encode
 * the whole value). Decoded once, here: authorization and engine are given the same key.
 *
 * @param header header bytes as latin1, as they came
 * @throws S3Error InvalidArgument, KeyTooLongError; NotImplemented for access point ARNs
 */
export function parseCopySource(header: string, name = "x-amz-copy-source"): CopySource {
  const rawSplit = header.lastIndexOf(VERSION);
  const decoded = decodePercent(rawSplit < 0 ? header : header.slice(0, rawSplit));
  let versionId = rawSplit < 0 ? undefined : decodePercent(header.slice(rawSplit + VERSION.length));
  if (decoded === undefined || (rawSplit >= 0 && versionId === undefined)) {
    throw refused(name, header, `${name} must be URL encoded UTF-8`);
  }
  let path = decoded;
  if (rawSplit < 0) {
    const split = path.lastIndexOf(VERSION);
    if (split >= 0) {
      versionId = path.slice(split + VERSION.length);
      path = path.slice(0, split);
    }
  }
  if (path.startsWith("/")) path = path.slice(1);
  if (path.startsWith("arn:")) throw new S3Error("NotImplemented", `${name}: access point ARNs are not implemented`);
  const slash = path.indexOf("/");
  if (slash <= 0 || slash === path.length - 1) {
    throw refused(name, header, "Invalid copy source object key");
  }
  if (versionId === "") throw refused(name, header, "Version id cannot be the empty string");
  const key = path.slice(slash + 1);
  if (Buffer.byteLength(key, "utf8") > MAX_KEY_BYTES) {
    throw new S3Error("KeyTooLongError", undefined, { fields: { MaxSizeAllowed: String(MAX_KEY_BYTES) } });
  }
  return { bucket: path.slice(0, slash), key, versionId };
}
