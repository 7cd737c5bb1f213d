import type { ObjectPart } from "../../src/model/object.js";
import { checksumLeaf } from "../checksum-headers.js";
import { abortHeaders } from "../lifecycle/headers.js";
import { xmlAnswer } from "../listing/page.js";
import { pageLimit, partMarker } from "../listing/parameters.js";
import { peopleXml } from "../listing/people.js";
import { allowedUpload, uploadNamed } from "../multipart/upload-of.js";
import type { Operation } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { etagLeaf, leaf, timeLeaf, xmlDocument } from "../xml/write.js";

/** API reference, ListParts. */
export const listParts: Operation = {
  name: "ListParts",
  scope: "object",
  async run(ctx) {
    const { bucket, key, request } = ctx;
    const upload = await allowedUpload(ctx, "s3:ListMultipartUploadParts");
    refuseUnsupported(request.headers);
    const limit = pageLimit(request.query, "max-parts");
    const marker = partMarker(request.query, "part-number-marker");
    const ref = { bucket: bucket.name, key, uploadId: upload.uploadId };
    const page = await partsPage(() => ctx.engine.listParts(ctx, ref, marker, Math.max(limit, 1)), limit, ref.uploadId);
    const people = peopleXml(ctx);
    const { checksumAlgorithm } = upload;
    const answer = xmlAnswer(
      xmlDocument(
        "ListPartsResult",
        leaf("Bucket", bucket.name),
        leaf("Key", key),
        leaf("UploadId", upload.uploadId),
        people("Initiator", upload.initiatorId),
        people("Owner", upload.attributes.ownerId),
        leaf("StorageClass", upload.attributes.storageClass),
        leaf("PartNumberMarker", marker),
        leaf("NextPartNumberMarker", page.parts.at(-1)?.number ?? 0),
        leaf("MaxParts", limit),
        leaf("IsTruncated", page.truncated),
        page.parts.map((part) => partXml(part, checksumAlgorithm !== null)).join(""),
        checksumAlgorithm === null ? "" : leaf("ChecksumAlgorithm", checksumAlgorithm),
        checksumAlgorithm === null ? "" : leaf("ChecksumType", upload.checksumType),
      ),
    );
    Object.assign(answer.headers, abortHeaders(bucket, upload, ctx.settings.lifecycleDayMs));
    return answer;
  },
};

interface Page {
  parts: ObjectPart[];
  truncated: boolean;
}

async function partsPage(list: () => Promise<Page>, limit: number, uploadId: string): Promise<Page> {
  try {
    const page = await list();
    return limit === 0 ? { parts: [], truncated: false } : page;
  } catch (error) {
    throw uploadNamed(error, uploadId);
  }
}

/** Checksums of parts are told where the upload named an algorithm. */
function partXml(part: ObjectPart, withChecksum: boolean): string {
  return (
    `<Part>${leaf("PartNumber", part.number)}${timeLeaf("LastModified", part.lastModifiedMs)}${etagLeaf(part.etag)}` +
    `${leaf("Size", part.sizeBytes)}${withChecksum ? checksumLeaf(part.checksum) : ""}</Part>`
  );
}
