import { callerId } from "../access/acl.js";
import { abortHeaders } from "../lifecycle/headers.js";
import { uploadChecksum } from "../multipart/upload-checksum.js";
import { newObjectAttributes } from "../new-object.js";
import { allowWrite } from "../object-needs.js";
import type { Operation } from "../types.js";
import { leaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** API reference, CreateMultipartUpload. */
export const createMultipartUpload: Operation = {
  name: "CreateMultipartUpload",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const asked = ctx.request.headers;
    await allowWrite(ctx, { bucket, key, createsObject: false });
    const made = newObjectAttributes(ctx, bucket, asked);
    // The bucket's default retention runs from when the object is there: it is given at the upload's completion.
    const attributes = asked.has("x-amz-object-lock-mode") ? made : { ...made, retention: null };
    const { checksumAlgorithm, checksumType } = uploadChecksum(asked);
    const upload = await ctx.engine.createUpload(ctx, {
      bucket: bucket.name,
      key,
      initiatorId: callerId(ctx.caller),
      attributes,
      checksumAlgorithm,
      checksumType,
    });
    const headers: Record<string, string> = {
      "content-type": XML_CONTENT_TYPE,
      ...abortHeaders(bucket, upload, ctx.settings.lifecycleDayMs),
    };
    if (checksumAlgorithm !== null) {
      headers["x-amz-checksum-algorithm"] = checksumAlgorithm;
      headers["x-amz-checksum-type"] = checksumType;
    }
    const body = xmlDocument(
      "InitiateMultipartUploadResult",
      leaf("Bucket", bucket.name),
      leaf("Key", key),
      leaf("UploadId", upload.uploadId),
    );
    return { status: 200, headers, body };
  },
};
