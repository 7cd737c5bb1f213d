import { S3Error } from "../../src/errors/s3-error.js";
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from "../../src/model/object.js";
import { isChecksum } from "../../src/runtime/checksum/checksum.js";
import type { Payload, S3Request } from "../types.js";

/** What the headers say that the body's digests will be. */
export interface DeclaredDigests {
  /** Hex. */
  readonly md5: string | undefined;
  readonly sha256: string | undefined;
  /** Of which the value is in a header, or will be in the trailer of that name. */
  readonly checksum:
    | { readonly algorithm: ChecksumAlgorithm; readonly value: string; readonly trailer: undefined }
    | { readonly algorithm: ChecksumAlgorithm; readonly value: undefined; readonly trailer: string }
    | undefined;
}

const PREFIX = "x-amz-checksum-";
/** Headers of that prefix that hold no checksum. */
const NO_VALUE: ReadonlySet<string> = new Set([`${PREFIX}algorithm`, `${PREFIX}mode`, `${PREFIX}type`]);
const BY_NAME: ReadonlyMap<string, ChecksumAlgorithm> = new Map(
  CHECKSUM_ALGORITHMS.map((algorithm) => [checksumHeader(algorithm), algorithm]),
);
const BASE64_MD5 = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** `x-amz-checksum-crc32c` ... */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `${PREFIX}${algorithm.toLowerCase()}`;
}

/**
 * @throws S3Error InvalidDigest of Content-MD5; InvalidRequest of checksums that are malformed, more than one, or not of
 * the algorithm that is named; NotImplemented of an algorithm that this server does not know
 */
export function readDeclared(headers: S3Request["headers"], payload: Payload): DeclaredDigests {
  const checksum = readChecksum(headers, payload);
  return { md5: readMd5(headers), sha256: payload.kind === "hash" ? payload.sha256 : undefined, checksum };
}

/** The same without the checksum headers: where they speak of an object that is not this body. */
export function readDeclaredOfDocument(headers: S3Request["headers"], payload: Payload): DeclaredDigests {
  return { md5: readMd5(headers), sha256: payload.kind === "hash" ? payload.sha256 : undefined, checksum: undefined };
}

/** Whether headers tell a digest of the body that its sender made, or that one follows in the trailer. Without a look at it. */
export function declaresDigest(headers: S3Request["headers"]): boolean {
  if (headers.has("content-md5") || headers.has("x-amz-trailer")) return true;
  for (const name of BY_NAME.keys()) if (headers.has(name)) return true;
  return false;
}

function readMd5(headers: S3Request["headers"]): string | undefined {
  const value = headers.get("content-md5");
  if (value === undefined) return undefined;
  if (BASE64_MD5.test(value)) return Buffer.from(value, "base64").toString("hex");
  throw new S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.", {
    fields: { "Content-MD5": value },
  });
}

function readChecksum(headers: S3Request["headers"], payload: Payload): DeclaredDigests["checksum"] {
  let found: DeclaredDigests["checksum"];
  for (const [name, value] of headers) {
    if (!name.startsWith(PREFIX) || NO_VALUE.has(name)) continue;
    if (found) throw severalChecksums();
    const algorithm = BY_NAME.get(name);
    if (!algorithm) throw new S3Error("NotImplemented", undefined, { fields: { Header: name } });
    if (!isChecksum(algorithm, value)) throw new S3Error("InvalidRequest", `Value for ${name} header is invalid.`);
    found = { algorithm, value, trailer: undefined };
  }
  const trailer = readTrailer(headers, payload);
  if (found && trailer) throw severalChecksums();
  found ??= trailer;
  checkNamedAlgorithm(headers.get("x-amz-sdk-checksum-algorithm"), found?.algorithm);
  return found;
}

function readTrailer(headers: S3Request["headers"], payload: Payload): DeclaredDigests["checksum"] {
  const announced = headers.get("x-amz-trailer");
  if (announced === undefined) return undefined;
  const name = announced.trim().toLowerCase();
  const algorithm = BY_NAME.get(name);
  const trailers =
    payload.kind === "chunked-unsigned-trailer" || (payload.kind === "chunked-signed" && payload.trailer);
  if (algorithm && trailers) return { algorithm, value: undefined, trailer: name };
  if (name.split(",").filter((part) => BY_NAME.has(part.trim())).length > 1) throw severalChecksums();
  throw new S3Error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported");
}

/** SDKs name the algorithm beside its checksum: the two must agree, and the name alone is a checksum that got lost. */
function checkNamedAlgorithm(named: string | undefined, found: ChecksumAlgorithm | undefined): void {
  if (named === undefined) return;
  if (!BY_NAME.has(`${PREFIX}${named.toLowerCase()}`)) {
    throw new S3Error("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.");
  }
  if (!found) {
    throw new S3Error(
      "InvalidRequest",
      "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    );
  }
  if (found !== named.toUpperCase()) {
    throw new S3Error("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.");
  }
}

function severalChecksums(): S3Error {
  return new S3Error(
    "InvalidRequest",
    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
  );
}
