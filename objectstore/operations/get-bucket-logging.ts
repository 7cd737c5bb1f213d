import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** S3 API reference, GetBucketLogging: empty, as where logging is off. */
export const getBucketLogging: Operation = {
  name: "GetBucketLogging",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketLogging" });
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body: xmlDocument("BucketLoggingStatus") };
  },
};
