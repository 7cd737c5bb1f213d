import type { WritePreconditions } from "../src/engines/object-engine.js";
import { S3Error } from "../src/errors/s3-error.js";
import { bareEtag } from "./http/conditions.js";
import { parseHttpDate } from "./http/dates.js";
import { parseIsoTime } from "./iso-time.js";
import { notImplemented } from "./unsupported.js";

type Headers = ReadonlyMap<string, string>;

const NONE: WritePreconditions = Object.freeze({});

function single(name: string, value: string): string {
  const etag = bareEtag(value);
  if (etag !== "" && !value.includes(",")) return etag;
  throw new S3Error("InvalidArgument", `${name} must be one entity tag, or *`, {
    fields: { ArgumentName: name, ArgumentValue: value },
  });
}

/**
 * The conditions of PutObject, CopyObject and CompleteMultipartUpload (user guide, "Conditional writes"): If-Match or
 * If-None-Match, one entity tag or `*`. Writes know no dates, and not both conditions at once: 501, as at Amazon.
 *
 * @throws S3Error NotImplemented, InvalidArgument
 */
export function writePreconditions(headers: Headers): WritePreconditions {
  const ifMatch = headers.get("if-match");
  const ifNoneMatch = headers.get("if-none-match");
  if (headers.has("if-modified-since")) throw notImplemented("If-Modified-Since");
  if (headers.has("if-unmodified-since")) throw notImplemented("If-Unmodified-Since");
  if (ifMatch === undefined && ifNoneMatch === undefined) return NONE;
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw notImplemented("If-Match,If-None-Match", "Multiple conditional request headers present in the request");
  }
  if (ifMatch !== undefined) return { ifMatch: single("If-Match", ifMatch) };
  return { ifNoneMatch: single("If-None-Match", ifNoneMatch ?? "") };
}

function refused(name: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", message, { fields: { ArgumentName: name, ArgumentValue: value } });
}

function time(name: string, value: string): number {
  const ms = parseHttpDate(value) ?? parseIsoTime(value);
  if (ms === undefined) throw refused(name, value, `${name} must be an HTTP date`);
  return ms;
}

function size(name: string, value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw refused(name, value, `${name} must be a count of bytes`);
  return Number(value);
}

/** What a delete says of the object that it means: by headers, or by an Object of a Delete document. */
export interface DeleteConditions {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly size: string | undefined;
}

const DELETE_HEADERS = {
  etag: "If-Match",
  lastModified: "x-amz-if-match-last-modified-time",
  size: "x-amz-if-match-size",
} as const;
const DELETE_ELEMENTS = { etag: "ETag", lastModified: "LastModifiedTime", size: "Size" } as const;

function preconditionsOf(
  conditions: DeleteConditions,
  names: { readonly [field in keyof DeleteConditions]: string },
): WritePreconditions {
  const { etag, lastModified, size: bytes } = conditions;
  if (etag === undefined && lastModified === undefined && bytes === undefined) return NONE;
  return {
    ...(etag === undefined ? {} : { ifMatch: single(names.etag, etag) }),
    ...(lastModified === undefined ? {} : { ifMatchLastModifiedMs: time(names.lastModified, lastModified) }),
    ...(bytes === undefined ? {} : { ifMatchSizeBytes: size(names.size, bytes) }),
  };
}

/**
 * The conditions of DeleteObject: If-Match, x-amz-if-match-last-modified-time, x-amz-if-match-size.
 *
 * @throws S3Error NotImplemented for the conditions that a delete does not have, InvalidArgument
 */
export function deletePreconditions(headers: Headers): WritePreconditions {
  for (const name of ["If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]) {
    if (headers.has(name.toLowerCase())) throw notImplemented(name);
  }
  const conditions = {
    etag: headers.get("if-match"),
    lastModified: headers.get("x-amz-if-match-last-modified-time"),
    size: headers.get("x-amz-if-match-size"),
  };
  return preconditionsOf(conditions, DELETE_HEADERS);
}

/** The same of one Object of a Delete document. @throws S3Error InvalidArgument */
export function deleteManyPreconditions(conditions: DeleteConditions): WritePreconditions {
  return preconditionsOf(conditions, DELETE_ELEMENTS);
}
