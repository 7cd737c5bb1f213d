import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, HeadBucket. */
export const headBucket: Operation = {
  name: "HeadBucket",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:ListBucket" });
    const headers = {
      "content-type": XML_CONTENT_TYPE,
      "x-amz-access-point-alias": "false",
      "x-amz-bucket-region": ctx.bucket.region,
    };
    return { status: 200, headers };
  },
};
