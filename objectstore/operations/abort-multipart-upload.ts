import { S3Error } from "../../src/errors/s3-error.js";
import { conditionFailed } from "../http/conditions.js";
import { parseHttpDate } from "../http/dates.js";
import { parseIsoTime } from "../iso-time.js";
import { allowedUpload, uploadNamed } from "../multipart/upload-of.js";
import type { Operation } from "../types.js";

const IF_INITIATED = "x-amz-if-match-initiated-time";

/** API reference, AbortMultipartUpload. */
export const abortMultipartUpload: Operation = {
  name: "AbortMultipartUpload",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const upload = await allowedUpload(ctx, "s3:AbortMultipartUpload");
    const { uploadId } = upload;
    // When an upload began never changes, so this needs no transaction.
    const initiated = ctx.request.headers.get(IF_INITIATED);
    if (initiated !== undefined && !isSecondOf(initiated, upload.initiatedMs)) throw conditionFailed(IF_INITIATED);
    try {
      await ctx.engine.abortUpload(ctx, { bucket: bucket.name, key, uploadId });
    } catch (error) {
      throw uploadNamed(error, uploadId);
    }
    return { status: 204, headers: {} };
  },
};

/** @throws S3Error InvalidArgument */
function isSecondOf(text: string, ms: number): boolean {
  const asked = parseHttpDate(text) ?? parseIsoTime(text);
  if (asked !== undefined) return Math.floor(asked / 1000) === Math.floor(ms / 1000);
  throw new S3Error("InvalidArgument", `${IF_INITIATED} must be an HTTP date`, {
    fields: { ArgumentName: IF_INITIATED, ArgumentValue: text },
  });
}
