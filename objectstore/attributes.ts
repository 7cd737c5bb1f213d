import { S3Error } from "../src/errors/s3-error.js";
import type { Pairs } from "../src/model/object.js";
import { decodeWords, toHeaderValue } from "./http/encoded-word.js";
import { isUnsupported, notImplemented } from "./unsupported.js";

type Headers = ReadonlyMap<string, string>;

export const DEFAULT_CONTENT_TYPE = "binary/octet-stream";
export const STANDARD = "STANDARD";
/** User guide, "Working with object metadata": names and values together, in UTF-8. */
const MAX_USER_METADATA_BYTES = 2048;

/**
 * S3's classes that an object can be written with. Granary keeps each alike and reports it; those of other products
 * (OUTPOSTS, SNOW, EXPRESS_ONEZONE, FSX_...) are refused.
 */
const STORAGE_CLASSES: ReadonlySet<string> = new Set([
  STANDARD,
  "REDUCED_REDUNDANCY",
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER",
  "GLACIER_IR",
  "DEEP_ARCHIVE",
]);

const SYSTEM: ReadonlySet<string> = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "expires",
]);
export const REDIRECT = "x-amz-website-redirect-location";
const USER_PREFIX = "x-amz-meta-";
const NO_PAIRS: Pairs = [];

/** What a write says of the object by its headers, but for ACL, tags and lock. */
export interface WrittenMetadata {
  readonly contentType: string;
  readonly system: Pairs;
  readonly user: Pairs;
}

/** Content-Encoding as the object has it: without `aws-chunked`, which is how the body travels. "" where nothing is left. */
export function storedContentEncoding(value: string): string {
  if (!/aws-chunked/i.test(value)) return value;
  return value
    .split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "" && coding.toLowerCase() !== "aws-chunked")
    .join(",");
}

// RFC 9110's token, in lower case.
const HEADER_NAME = /^[-!#$%&'*+.^_`|~0-9a-z]+$/;

function badName(name: string): S3Error {
  return new S3Error("InvalidArgument", "The metadata's name cannot be that of a header", {
    fields: { ArgumentName: name.slice(0, 100) },
  });
}

function metadataTooLarge(bytes: number): S3Error {
  return new S3Error("MetadataTooLarge", undefined, {
    fields: { Size: String(bytes), MaxSizeAllowed: String(MAX_USER_METADATA_BYTES) },
  });
}

/**
 * @throws S3Error InvalidArgument for a redirect that is neither a path nor a URL (PutObject, x-amz-website-redirect-location)
 */
export function checkRedirect(value: string): void {
  if (/^(\/|https?:\/\/)/.test(value)) return;
  throw new S3Error(
    "InvalidArgument",
    "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    { fields: { ArgumentName: REDIRECT, ArgumentValue: value } },
  );
}

/**
 * Content type, system and user metadata of a request, in one pass over its headers (or over a form's fields, by
 * lower-case name). What a form's field has and no header can carry becomes a blank.
 *
 * @param words RFC 2047 encoded words in user metadata: decoded where they come in headers, which can have them only so
 * @throws S3Error NotImplemented for a header that asks for what is not done, MetadataTooLarge, InvalidArgument
 */
export function readMetadata(headers: Headers, words: "decoded" | "as-they-are" = "decoded"): WrittenMetadata {
  let contentType = DEFAULT_CONTENT_TYPE;
  let system: [string, string][] | undefined;
  let user: [string, string][] | undefined;
  let userBytes = 0;
  for (const [name, value] of headers) {
    if (name.startsWith("x-amz-")) {
      if (name.startsWith(USER_PREFIX)) {
        if (!HEADER_NAME.test(name)) throw badName(name);
        const short = name.slice(USER_PREFIX.length);
        const text = words === "decoded" ? decodeWords(value) : value;
        userBytes += Buffer.byteLength(short) + Buffer.byteLength(text);
        user ??= [];
        user.push([short, text]);
      } else if (name === REDIRECT) {
        checkRedirect(value);
        system ??= [];
        system.push([name, toHeaderValue(value)]);
      } else if (isUnsupported(name)) throw notImplemented(name);
    } else if (name === "content-type") {
      if (value !== "") contentType = toHeaderValue(value);
    } else if (SYSTEM.has(name)) {
      const stored = name === "content-encoding" ? storedContentEncoding(value) : value;
      if (stored === "") continue;
      system ??= [];
      system.push([name, toHeaderValue(stored)]);
    }
  }
  if (userBytes > MAX_USER_METADATA_BYTES) throw metadataTooLarge(userBytes);
  return { contentType, system: system ?? NO_PAIRS, user: user ?? NO_PAIRS };
}

/** @throws S3Error InvalidStorageClass */
export function storageClassOf(headers: Headers): string {
  const asked = headers.get("x-amz-storage-class");
  if (asked === undefined) return STANDARD;
  if (!STORAGE_CLASSES.has(asked)) {
    throw new S3Error("InvalidStorageClass", undefined, { fields: { StorageClassRequested: asked } });
  }
  return asked;
}
