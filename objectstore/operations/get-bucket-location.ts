import { locationConstraint } from "../new-bucket.js";
import type { Operation } from "../types.js";
import { escapeXml, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** S3 API reference, GetBucketLocation: nothing for us-east-1. */
export const getBucketLocation: Operation = {
  name: "GetBucketLocation",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketLocation" });
    const body = xmlDocument("LocationConstraint", escapeXml(locationConstraint(ctx.bucket.region)));
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body };
  },
};
