import { S3Error } from "../../src/errors/s3-error.js";
import type { Upload } from "../../src/model/object.js";
import type { CompletedPart } from "./complete-document.js";

/**
 * What a completion's parts say of checksums, held to how the upload was begun. That a value is the stored part's is the
 * engine's to see.
 *
 * @throws S3Error InvalidRequest where a composite upload's part names none; BadDigest for one of another algorithm
 */
export function checkNamedChecksums(parts: readonly CompletedPart[], upload: Upload): void {
  const { checksumAlgorithm: algorithm, checksumType } = upload;
  if (algorithm === null) return;
  for (const { number, checksum } of parts) {
    if (checksum === null && checksumType === "COMPOSITE") {
      throw new S3Error(
        "InvalidRequest",
        `The upload was created using a ${algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`,
      );
    }
    if (checksum !== null && checksum.algorithm !== algorithm) {
      const name = checksum.algorithm.toLowerCase();
      throw new S3Error("BadDigest", `The ${name} you specified for part ${number} did not match what we received.`);
    }
  }
}
