import type { BodyDigest, WritePreconditions } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { type ChecksumAlgorithm, MAX_PUT_BYTES, type ObjectVersion } from "../../src/model/object.js";
import { typedChecksumLeaves } from "../checksum-headers.js";
import { copiedMetadata, copiedTags, refuseCopyOntoItself, replacesTags } from "../copied-object.js";
import {
  addSourceVersion,
  fromSource,
  pinned,
  type ReadableSource,
  requestedSource,
  sourceBucket,
  sourceCondition,
  sourceNeed,
} from "../copy-from.js";
import { requestedAlgorithm } from "../multipart/upload-checksum.js";
import { newObjectAttributes, versionHeaders } from "../new-object.js";
import { addTagConditions, allowWrite, writeConditions } from "../object-needs.js";
import { writePreconditions } from "../preconditions.js";
import { digestOfRange } from "../range-digest.js";
import { slowAnswer } from "../slow-answer.js";
import type { Operation, RequestContext, S3Response } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { hasVersions } from "../version-id.js";
import { conditionNamed } from "../write-refused.js";
import { etagLeaf, timeLeaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** API reference, CopyObject: the bytes are shared, so it costs metadata, but where another checksum is asked for. */
export const copyObject: Operation = {
  name: "CopyObject",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const { headers } = ctx.request;
    const asked = requestedSource(ctx);
    await allowWrite(ctx, { bucket, key, createsObject: true, extra: [sourceCondition(asked)] });
    refuseUnsupported(headers);
    const preconditions = writePreconditions(headers);
    const algorithm = requestedAlgorithm(headers);
    const from = await sourceBucket(ctx, asked);
    // A refusal to read is told before anything is slow.
    const copied = fromSource(ctx, from, asked, (source) => copy(ctx, source, algorithm, preconditions));
    return slowAnswer(ctx, copied);
  },
};

async function copy(
  ctx: RequestContext,
  source: ReadableSource,
  algorithm: ChecksumAlgorithm | undefined,
  preconditions: WritePreconditions,
): Promise<S3Response> {
  const { bucket, key } = ctx;
  const { headers } = ctx.request;
  const { version } = source;
  if (version.sizeBytes > MAX_PUT_BYTES) throw sourceTooLarge();
  const checksumChanges = algorithm !== undefined && !hasChecksum(version, algorithm);
  if (source.bucket.name === bucket.name && version.key === key) {
    refuseCopyOntoItself(headers, version, checksumChanges);
  }
  if (!replacesTags(headers) && version.attributes.tags.length > 0) await allowTagsToo(ctx, source);
  const attributes = newObjectAttributes(ctx, bucket, headers, {
    metadata: copiedMetadata(headers, version),
    tags: copiedTags(headers, version),
  });
  let digest: BodyDigest | undefined;
  if (checksumChanges) {
    digest = await digestOfRange(ctx, source, { offsetBytes: 0, lengthBytes: version.sizeBytes }, algorithm);
  }
  const request = { source: pinned(source), bucket: bucket.name, key, attributes, preconditions };
  try {
    return answer(ctx, source, await ctx.engine.copy(ctx, digest ? { ...request, digest } : request));
  } catch (error) {
    throw conditionNamed(error, preconditions, key);
  }
}

function hasChecksum({ checksum }: ObjectVersion, algorithm: ChecksumAlgorithm): boolean {
  return checksum?.algorithm === algorithm && checksum.type === "FULL_OBJECT";
}

function sourceTooLarge(): S3Error {
  return new S3Error(
    "InvalidRequest",
    `The specified copy source is larger than the maximum allowable size for a copy source: ${MAX_PUT_BYTES}`,
  );
}

/** Tags that come with the copy are read from one object and written to another: a permission each. */
async function allowTagsToo(ctx: RequestContext, source: ReadableSource): Promise<void> {
  const { bucket, key } = ctx;
  await ctx.allow(sourceNeed(source, "s3:GetObjectTagging", "s3:GetObjectVersionTagging"));
  const conditions = () => {
    const map = writeConditions(ctx.request.headers, true);
    addTagConditions(map, source.version.attributes.tags);
    return map;
  };
  await ctx.allow({ action: "s3:PutObjectTagging", bucket, key, conditions });
}

function answer(ctx: RequestContext, source: ReadableSource, version: ObjectVersion): S3Response {
  const headers: Record<string, string> = {
    "content-type": XML_CONTENT_TYPE,
    ...versionHeaders(ctx, ctx.bucket, version),
  };
  // Unlike other writes, a copy names the null version too.
  if (hasVersions(ctx.bucket)) headers["x-amz-version-id"] = version.versionId;
  addSourceVersion(headers, source);
  const body = xmlDocument(
    "CopyObjectResult",
    timeLeaf("LastModified", version.lastModifiedMs),
    etagLeaf(version.etag),
    typedChecksumLeaves(version.checksum),
  );
  return { status: 200, headers, body };
}
