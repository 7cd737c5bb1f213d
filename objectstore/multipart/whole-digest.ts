import { createHash } from "node:crypto";
import { S3Error } from "../../src/errors/s3-error.js";
import { type Checksum, MIN_PART_BYTES, type ObjectPart, type Upload } from "../../src/model/object.js";
import { combineChecksums, compositeChecksum, isCombinable } from "../../src/runtime/checksum/checksum.js";
import { CHECKSUM_HEADER } from "../checksum-headers.js";
import { partAlgorithm } from "./upload-checksum.js";

type Headers = ReadonlyMap<string, string>;

/** `md5(md5 of each part)-N` (user guide, "Checking object integrity", "ETags and multipart uploads"). */
export function multipartEtag(parts: readonly ObjectPart[]): string {
  const md5 = createHash("md5");
  for (const part of parts) md5.update(part.etag, "hex");
  return `${md5.digest("hex")}-${parts.length}`;
}

/** The checksum of the whole from those of its parts, which are never read again. Null where a part has none. */
export function multipartChecksum(parts: readonly ObjectPart[], upload: Upload): Checksum | null {
  const algorithm = partAlgorithm(upload);
  const values: { value: string; sizeBytes: number }[] = [];
  for (const { checksum, sizeBytes } of parts) {
    if (checksum?.algorithm !== algorithm) return null;
    values.push({ value: checksum.value, sizeBytes });
  }
  if (upload.checksumType === "FULL_OBJECT") {
    if (!isCombinable(algorithm)) return null;
    return { algorithm, type: "FULL_OBJECT", value: combineChecksums(algorithm, values) };
  }
  const value = compositeChecksum(
    algorithm,
    values.map((part) => part.value),
  );
  return { algorithm, type: "COMPOSITE", value };
}

function badRequest(message: string): S3Error {
  return new S3Error("InvalidRequest", message);
}

/**
 * Holds a completion to what its headers say of the whole: x-amz-mp-object-size, x-amz-checksum-type, x-amz-checksum-*.
 *
 * @throws S3Error InvalidRequest, BadDigest
 */
export function checkWhole(
  headers: Headers,
  parts: readonly ObjectPart[],
  upload: Upload,
  whole: Checksum | null,
): void {
  const size = headers.get("x-amz-mp-object-size");
  if (size !== undefined) {
    const total = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    if (size !== String(total)) {
      throw badRequest(
        `The provided 'x-amz-mp-object-size' header value ${size.slice(0, 20)} does not match what was computed: ${total}`,
      );
    }
  }
  const type = headers.get("x-amz-checksum-type");
  const mode = upload.checksumAlgorithm === null ? "null" : upload.checksumType;
  if (type !== undefined && type.toUpperCase() !== mode) {
    throw badRequest(
      `The upload was created using the ${mode} checksum mode. The complete request must use the same checksum mode.`,
    );
  }
  for (const [algorithm, header] of Object.entries(CHECKSUM_HEADER)) {
    const value = headers.get(header);
    if (value === undefined) continue;
    if (whole === null || algorithm !== whole.algorithm) {
      throw badRequest(
        `Checksum Type mismatch occurred, expected checksum Type: ${whole?.algorithm.toLowerCase() ?? "null"}, actual checksum Type: ${algorithm.toLowerCase()}`,
      );
    }
    // SDKs send a composite one with its count of parts, or without.
    if (value !== whole.value && value !== whole.value.replace(/-\d+$/, "")) {
      throw new S3Error(
        "BadDigest",
        `The ${algorithm.toLowerCase()} you specified did not match the calculated checksum.`,
      );
    }
  }
}

/** @throws S3Error EntityTooSmall, of the first part that is too small and not the last */
export function checkPartSizes(parts: readonly ObjectPart[]): void {
  for (const part of parts.slice(0, -1)) {
    if (part.sizeBytes >= MIN_PART_BYTES) continue;
    throw new S3Error("EntityTooSmall", undefined, {
      fields: {
        ETag: part.etag,
        MinSizeAllowed: String(MIN_PART_BYTES),
        PartNumber: String(part.number),
        ProposedSize: String(part.sizeBytes),
      },
    });
  }
}
