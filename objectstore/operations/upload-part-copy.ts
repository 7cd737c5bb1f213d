import { S3Error } from "../../src/errors/s3-error.js";
import { MAX_PART_BYTES, type ObjectPart, type ObjectVersion, type Upload } from "../../src/model/object.js";
import { checksumLeaf } from "../checksum-headers.js";
import {
  addSourceVersion,
  fromSource,
  pinned,
  type ReadableSource,
  requestedSource,
  sourceBucket,
  sourceCondition,
} from "../copy-from.js";
import { type ByteRange, parseCopyRange } from "../http/range.js";
import { requiredPartNumber } from "../multipart/part-number.js";
import { partAlgorithm } from "../multipart/upload-checksum.js";
import { uploadNamed, uploadOf } from "../multipart/upload-of.js";
import { allowWrite } from "../object-needs.js";
import { digestOfRange } from "../range-digest.js";
import { slowAnswer } from "../slow-answer.js";
import type { Operation, RequestContext, S3Response } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { etagLeaf, timeLeaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

const RANGE = "x-amz-copy-source-range";

/** API reference, UploadPartCopy: the bytes are shared, but read once for the part's ETag and checksum. */
export const uploadPartCopy: Operation = {
  name: "UploadPartCopy",
  scope: "object",
  async run(ctx) {
    const { bucket, key, request } = ctx;
    const asked = requestedSource(ctx);
    await allowWrite(ctx, { bucket, key, createsObject: false, extra: [sourceCondition(asked)] });
    refuseUnsupported(request.headers);
    const partNumber = requiredPartNumber(request.query);
    const upload = await uploadOf(ctx);
    const from = await sourceBucket(ctx, asked);
    const copied = fromSource(ctx, from, asked, (source) => copyPart(ctx, source, upload, partNumber));
    return slowAnswer(ctx, copied);
  },
};

async function copyPart(
  ctx: RequestContext,
  source: ReadableSource,
  upload: Upload,
  partNumber: number,
): Promise<S3Response> {
  const { uploadId } = upload;
  const range = rangeOf(ctx.request.headers.get(RANGE), source.version);
  const digest = await digestOfRange(ctx, source, range, partAlgorithm(upload));
  try {
    const part = await ctx.engine.copyPart(ctx, {
      bucket: ctx.bucket.name,
      key: ctx.key,
      uploadId,
      partNumber,
      source: pinned(source),
      ...range,
      digest,
    });
    return answer(source, part, upload);
  } catch (error) {
    throw uploadNamed(error, uploadId);
  }
}

/** @throws S3Error InvalidArgument for a range that is not of its form, or past the object; InvalidRequest over 5 GiB */
function rangeOf(header: string | undefined, { sizeBytes }: ObjectVersion): ByteRange {
  const range = header === undefined ? { offsetBytes: 0, lengthBytes: sizeBytes } : parseCopyRange(header);
  if (!range) {
    throw invalidRange(
      header ?? "",
      `The ${RANGE} value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy`,
    );
  }
  if (range.offsetBytes + range.lengthBytes > sizeBytes) {
    throw invalidRange(header ?? "", `Range specified is not valid for source object of size: ${sizeBytes}`);
  }
  if (range.lengthBytes > MAX_PART_BYTES) {
    throw new S3Error(
      "InvalidRequest",
      `The specified copy source is larger than the maximum allowable size for a copy source: ${MAX_PART_BYTES}`,
    );
  }
  return range;
}

function invalidRange(header: string, message: string): S3Error {
  return new S3Error("InvalidArgument", message, { fields: { ArgumentName: RANGE, ArgumentValue: header } });
}

function answer(source: ReadableSource, part: ObjectPart, upload: Upload): S3Response {
  const headers: Record<string, string> = { "content-type": XML_CONTENT_TYPE };
  addSourceVersion(headers, source);
  const body = xmlDocument(
    "CopyPartResult",
    timeLeaf("LastModified", part.lastModifiedMs),
    etagLeaf(part.etag),
    upload.checksumAlgorithm === null ? "" : checksumLeaf(part.checksum),
  );
  return { status: 200, headers, body };
}
