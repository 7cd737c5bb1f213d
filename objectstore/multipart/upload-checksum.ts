import { S3Error } from "../../src/errors/s3-error.js";
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, type Upload } from "../../src/model/object.js";

type Headers = ReadonlyMap<string, string>;

function badRequest(message: string): S3Error {
  return new S3Error("InvalidRequest", message);
}

/**
 * The algorithm that x-amz-checksum-algorithm names; undefined without it.
 *
 * @throws S3Error InvalidRequest
 */
export function requestedAlgorithm(headers: Headers): ChecksumAlgorithm | undefined {
  const name = headers.get("x-amz-checksum-algorithm");
  if (name === undefined) return undefined;
  const known = CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === name.toUpperCase());
  if (known !== undefined) return known;
  throw badRequest(
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(", ")}]`,
  );
}

function requestedType(headers: Headers): Upload["checksumType"] | undefined {
  const name = headers.get("x-amz-checksum-type");
  if (name === undefined) return undefined;
  const type = name.toUpperCase();
  if (type === "FULL_OBJECT" || type === "COMPOSITE") return type;
  throw badRequest("Value for x-amz-checksum-type header is invalid.");
}

/**
 * What an upload keeps of checksums (user guide, "Checking object integrity", the table of types): CRC64NVME only whole,
 * SHA only of parts, the other CRCs both, of parts where nothing is said.
 *
 * @throws S3Error InvalidRequest
 */
export function uploadChecksum(headers: Headers): Pick<Upload, "checksumAlgorithm" | "checksumType"> {
  const algorithm = requestedAlgorithm(headers);
  const type = requestedType(headers);
  if (algorithm === undefined) {
    if (type === undefined) return { checksumAlgorithm: null, checksumType: "FULL_OBJECT" };
    throw badRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.");
  }
  const impossible = (name: string) =>
    badRequest(`The ${name} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`);
  if (algorithm === "CRC64NVME") {
    if (type === "COMPOSITE") throw impossible(type);
    return { checksumAlgorithm: algorithm, checksumType: "FULL_OBJECT" };
  }
  if (type === "FULL_OBJECT" && (algorithm === "SHA1" || algorithm === "SHA256")) throw impossible(type);
  return { checksumAlgorithm: algorithm, checksumType: type ?? "COMPOSITE" };
}

/** The algorithm that the upload's parts are kept with, where the client says none with a part. */
export function partAlgorithm(upload: Upload): ChecksumAlgorithm {
  return upload.checksumAlgorithm ?? "CRC64NVME";
}

/**
 * A part has the checksum that its upload was begun with, or none.
 *
 * @throws S3Error InvalidRequest
 */
export function checkPartAlgorithm(upload: Upload, declared: ChecksumAlgorithm | undefined): void {
  const expected = upload.checksumAlgorithm;
  if (expected === null || declared === undefined || declared === expected) return;
  throw badRequest(
    `Checksum Type mismatch occurred, expected checksum Type: ${expected.toLowerCase()}, actual checksum Type: ${declared.toLowerCase()}`,
  );
}
