import { S3Error } from "../src/errors/s3-error.js";
import type { Checksum, ObjectPart, ObjectVersion } from "../src/model/object.js";
import { addChecksumHeaders } from "./checksum-headers.js";
import { conditionFailed, rangeStillApplies, readConditions } from "./http/conditions.js";
import { type ByteRange, contentRange, parseRange } from "./http/range.js";
import { addGuardedHeaders, notModifiedHeaders, objectHeaders } from "./object-headers.js";
import { applyOverrides } from "./response-overrides.js";
import type { RequestContext } from "./types.js";

/** The answer to a GET or HEAD, but for its bytes: `range` says which those are; undefined: none. */
export interface ReadAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly range: ByteRange | undefined;
}

interface PartRange {
  range: ByteRange;
  part: ObjectPart | undefined;
}

/** @throws S3Error InvalidPartNumber */
function rangeOfPart(number: number, version: ObjectVersion, parts: readonly ObjectPart[]): PartRange {
  if (parts.length === 0 && number === 1) {
    return { range: { offsetBytes: 0, lengthBytes: version.sizeBytes }, part: undefined };
  }
  let offsetBytes = 0;
  for (const part of parts) {
    if (part.number === number) return { range: { offsetBytes, lengthBytes: part.sizeBytes }, part };
    offsetBytes += part.sizeBytes;
  }
  throw new S3Error("InvalidPartNumber", undefined, {
    fields: { ActualPartCount: String(Math.max(parts.length, 1)), PartNumberRequested: String(number) },
  });
}

function unsatisfiable(header: string, sizeBytes: number): S3Error {
  return new S3Error("InvalidRange", undefined, {
    fields: { RangeRequested: header, ActualObjectSize: String(sizeBytes) },
    headers: { "content-range": `bytes */${sizeBytes}` },
  });
}

function requestedRange(headers: ReadonlyMap<string, string>, version: ObjectVersion): ByteRange | undefined {
  const header = headers.get("range");
  if (header === undefined || !rangeStillApplies(headers, version)) return undefined;
  const range = parseRange(header, version.sizeBytes);
  if (range === "unsatisfiable") throw unsatisfiable(header, version.sizeBytes);
  return range;
}

/**
 * Everything of a GET's answer but the bytes, and everything of a HEAD's (GetObject, HeadObject).
 *
 * @param parts of the object, where the request names one of them; else []
 * @throws S3Error PreconditionFailed, InvalidRange, InvalidPartNumber, InvalidRequest, InvalidArgument
 */
export async function readAnswer(
  ctx: RequestContext,
  version: ObjectVersion,
  versionId: string | undefined,
  partNumber: number | undefined,
  parts: readonly ObjectPart[],
): Promise<ReadAnswer> {
  const { headers: asked, query } = ctx.request;
  const headers = objectHeaders(ctx.bucket, version, ctx.settings.lifecycleDayMs);
  const outcome = readConditions(asked, version);
  if (outcome === "not-modified") return { status: 304, headers: notModifiedHeaders(headers), range: undefined };
  if (outcome) throw conditionFailed(outcome.failed);

  const { tags, retention, legalHold } = version.attributes;
  if (tags.length > 0 || retention || legalHold !== null) await addGuardedHeaders(ctx, headers, version, versionId);
  applyOverrides(headers, query, ctx.auth.type);

  let range: ByteRange | undefined;
  let checksum = asked.get("x-amz-checksum-mode")?.toUpperCase() === "ENABLED" ? version.checksum : null;
  if (partNumber !== undefined) {
    const found = rangeOfPart(partNumber, version, parts);
    range = found.range;
    if (found.part) {
      headers["x-amz-mp-parts-count"] = String(parts.length);
      checksum = checksumOfPart(checksum, found.part, version);
    }
  } else {
    range = requestedRange(asked, version);
    // Of a part of the bytes there is none; a range that is all of them has it.
    if (range && range.lengthBytes !== version.sizeBytes) checksum = null;
  }
  addChecksumHeaders(headers, checksum);
  if (!range || range.lengthBytes === 0) {
    headers["content-length"] = String(version.sizeBytes);
    return { status: 200, headers, range: { offsetBytes: 0, lengthBytes: version.sizeBytes } };
  }
  headers["content-length"] = String(range.lengthBytes);
  headers["content-range"] = contentRange(range, version.sizeBytes);
  return { status: 206, headers, range };
}

/** The whole's checksum is not that of these bytes (user guide, "Checking object integrity"); of a composite one the part has its own. */
function checksumOfPart(whole: Checksum | null, part: ObjectPart, version: ObjectVersion): Checksum | null {
  if (!whole) return null;
  if (whole.type === "COMPOSITE") return part.checksum ? { ...part.checksum, type: "COMPOSITE" } : null;
  return part.sizeBytes === version.sizeBytes ? whole : null;
}

/** @throws S3Error InvalidRequest where a request names a range and a part */
export function refuseRangeOfPart(ctx: RequestContext, partNumber: number | undefined): void {
  if (partNumber === undefined || !ctx.request.headers.has("range")) return;
  throw new S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter");
}
