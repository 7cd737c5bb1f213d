import type { Operation } from "../types.js";
import { leaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** S3 API reference, GetBucketRequestPayment: always the bucket's owner. */
export const getBucketRequestPayment: Operation = {
  name: "GetBucketRequestPayment",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketRequestPayment" });
    const body = xmlDocument("RequestPaymentConfiguration", leaf("Payer", "BucketOwner"));
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body };
  },
};
