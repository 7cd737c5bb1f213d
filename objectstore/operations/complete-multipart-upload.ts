import type { CompleteUpload } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { StorageError } from "../../src/errors/storage-error.js";
import { MAX_PARTS, type ObjectPart, type Upload } from "../../src/model/object.js";
import { typedChecksumLeaves } from "../checksum-headers.js";
import { type CompletedPart, completedPartsFrom } from "../multipart/complete-document.js";
import { locationOf } from "../multipart/location.js";
import { checkNamedChecksums } from "../multipart/named-checksums.js";
import { uploadIdOf, uploadNamed } from "../multipart/upload-of.js";
import { checkPartSizes, checkWhole, multipartChecksum, multipartEtag } from "../multipart/whole-digest.js";
import { versionHeaders } from "../new-object.js";
import { lockOfNewObject } from "../object-lock.js";
import { allowWrite } from "../object-needs.js";
import { writePreconditions } from "../preconditions.js";
import { slowAnswer } from "../slow-answer.js";
import type { Operation, RequestContext, S3Response } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { conditionNamed } from "../write-refused.js";
import { etagLeaf, leaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** 10,000 parts with an ETag and a checksum each. */
const LIMIT_BYTES = 4 * 1024 ** 2;

/** API reference, CompleteMultipartUpload. */
export const completeMultipartUpload: Operation = {
  name: "CompleteMultipartUpload",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const { headers } = ctx.request;
    await allowWrite(ctx, { bucket, key, createsObject: true });
    refuseUnsupported(headers);
    const preconditions = writePreconditions(headers);
    // Its checksum headers are the object's, not this document's.
    const document = await ctx.body.text(LIMIT_BYTES, { checksumHeaders: "ignored" });
    if (document === "") throw new S3Error("InvalidRequest", "You must specify at least one part");
    const parts = completedPartsFrom(document);
    const request: CompleteUpload = {
      bucket: bucket.name,
      key,
      uploadId: uploadIdOf(ctx),
      parts: parts.map(({ number, etag, checksum }) => ({ number, etag, checksum: checksum?.value ?? null })),
      preconditions,
      digest: (stored, upload) => wholeOf(ctx, parts, stored, upload),
    };
    return slowAnswer(ctx, complete(ctx, request));
  },
};

const NO_HEADERS: ReadonlyMap<string, string> = new Map();

/** ETag and checksum of the whole, and its default retention, once what the client says of parts and whole is found true. */
function wholeOf(
  ctx: RequestContext,
  named: readonly CompletedPart[],
  stored: readonly ObjectPart[],
  upload: Upload,
): ReturnType<CompleteUpload["digest"]> {
  checkNamedChecksums(named, upload);
  checkPartSizes(stored);
  const checksum = multipartChecksum(stored, upload);
  checkWhole(ctx.request.headers, stored, upload, checksum);
  const whole = { etag: multipartEtag(stored), checksum };
  if (upload.attributes.retention) return whole;
  const { retention } = lockOfNewObject(ctx.bucket, NO_HEADERS, Date.now());
  return retention ? { ...whole, retention } : whole;
}

async function complete(ctx: RequestContext, request: CompleteUpload): Promise<S3Response> {
  const { bucket, key } = ctx;
  try {
    const version = await ctx.engine.completeUpload(ctx, request);
    const headers = { "content-type": XML_CONTENT_TYPE, ...versionHeaders(ctx, bucket, version) };
    const body = xmlDocument(
      "CompleteMultipartUploadResult",
      leaf("Location", locationOf(ctx.request, bucket.name, key)),
      leaf("Bucket", bucket.name),
      leaf("Key", key),
      etagLeaf(version.etag),
      typedChecksumLeaves(version.checksum),
    );
    return { status: 200, headers, body };
  } catch (error) {
    throw await explained(ctx, request, error);
  }
}

/** The engine's refusal with the elements that S3's has. */
async function explained(ctx: RequestContext, request: CompleteUpload, error: unknown): Promise<unknown> {
  const { uploadId, key, preconditions } = request;
  const reason = error instanceof StorageError ? error.reason : undefined;
  if (reason === "invalid-part-order") {
    return new S3Error("InvalidPartOrder", undefined, { cause: error, fields: { UploadId: uploadId } });
  }
  if (reason === "part-too-small" || reason === "invalid-part") {
    const { parts } = await ctx.engine.listParts(ctx, request, 0, MAX_PARTS);
    if (reason === "invalid-part") return invalidPart(request, parts, error);
    const named = new Set(request.parts.map((part) => part.number));
    // It throws the same refusal, with the part in it.
    checkPartSizes(parts.filter((part) => named.has(part.number)));
  }
  return uploadNamed(conditionNamed(error, preconditions, key), uploadId);
}

/** InvalidPart of the first part that the upload does not have as it is named. */
function invalidPart(request: CompleteUpload, stored: readonly ObjectPart[], cause: unknown): S3Error {
  const byNumber = new Map(stored.map((part) => [part.number, part]));
  const wrong = request.parts.find(({ number, etag, checksum }) => {
    const part = byNumber.get(number);
    return part?.etag !== etag || (checksum !== null && checksum !== part.checksum?.value);
  });
  const fields: Record<string, string> = { UploadId: request.uploadId };
  if (wrong) Object.assign(fields, { PartNumber: String(wrong.number), ETag: wrong.etag });
  return new S3Error("InvalidPart", undefined, { cause, fields });
}
