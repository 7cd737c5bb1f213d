import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** S3 API reference, GetBucketAccelerateConfiguration: empty, as where acceleration was never set. */
export const getBucketAccelerateConfiguration: Operation = {
  name: "GetBucketAccelerateConfiguration",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetAccelerateConfiguration" });
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body: xmlDocument("AccelerateConfiguration") };
  },
};
