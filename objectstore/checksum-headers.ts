import type { Checksum, ChecksumAlgorithm } from "../src/model/object.js";
import { leaf } from "./xml/write.js";

export const CHECKSUM_HEADER = {
  CRC32: "x-amz-checksum-crc32",
  CRC32C: "x-amz-checksum-crc32c",
  CRC64NVME: "x-amz-checksum-crc64nvme",
  SHA1: "x-amz-checksum-sha1",
  SHA256: "x-amz-checksum-sha256",
} as const satisfies Record<ChecksumAlgorithm, string>;

export const CHECKSUM_ELEMENT = {
  CRC32: "ChecksumCRC32",
  CRC32C: "ChecksumCRC32C",
  CRC64NVME: "ChecksumCRC64NVME",
  SHA1: "ChecksumSHA1",
  SHA256: "ChecksumSHA256",
} as const satisfies Record<ChecksumAlgorithm, string>;

/** Adds the checksum of a whole object to an answer's headers. */
export function addChecksumHeaders(headers: Record<string, string>, checksum: Checksum | null): void {
  if (!checksum) return;
  headers[CHECKSUM_HEADER[checksum.algorithm]] = checksum.value;
  headers["x-amz-checksum-type"] = checksum.type;
}

/** `<ChecksumCRC32>...</ChecksumCRC32>`, or nothing. */
export function checksumLeaf(checksum: Checksum | null): string {
  return checksum ? leaf(CHECKSUM_ELEMENT[checksum.algorithm], checksum.value) : "";
}

/** The same, with `<ChecksumType>` behind it, as answers about whole objects have it. */
export function typedChecksumLeaves(checksum: Checksum | null): string {
  return checksum ? checksumLeaf(checksum) + leaf("ChecksumType", checksum.type) : "";
}
