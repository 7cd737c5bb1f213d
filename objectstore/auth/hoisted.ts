import type { S3Request } from "../types.js";

/** Query parameters of the signature itself. */
const OF_SIGNATURE: ReadonlySet<string> = new Set([
  "x-amz-algorithm",
  "x-amz-content-sha256",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-expires",
  "x-amz-security-token",
  "x-amz-signature",
  "x-amz-signedheaders",
]);
/**
 * SDKs sign the checksum of the body that they do not have yet, an empty one; S3 ignores it. With it the algorithm that
 * names it has no meaning.
 */
const OF_NO_BODY =
  /^x-amz-(?:checksum-(?:crc32|crc32c|crc64nvme|sha1|sha256)|sdk-checksum-algorithm|trailer|decoded-content-length)$/;

/**
 * The request of a verified presigned URL with the `x-amz-*` parameters of its query as headers: SDKs put there what would
 * be headers (metadata, ACL, tags), since who uses the URL sends none, and S3 takes them as such. They are under the
 * signature as all of the query is. A header that was sent itself, and signed, stays.
 */
export function withHoistedHeaders(request: S3Request): S3Request {
  let headers: Map<string, string> | undefined;
  for (const [name, value] of request.query) {
    const header = name.toLowerCase();
    if (!header.startsWith("x-amz-") || OF_SIGNATURE.has(header) || OF_NO_BODY.test(header)) continue;
    if (request.headers.has(header)) continue;
    headers ??= new Map(request.headers);
    // Bytes, as a header's would come.
    headers.set(header, Buffer.from(value, "utf8").toString("latin1"));
  }
  return headers ? { ...request, headers } : request;
}
