import { S3Error } from "../../src/errors/s3-error.js";
import { bucketAccess } from "../access/bucket-access.js";
import { publicAccessBlockXml } from "../access/public-access-block.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, GetPublicAccessBlock. */
export const getPublicAccessBlock: Operation = {
  name: "GetPublicAccessBlock",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketPublicAccessBlock" });
    if (ctx.bucket.config.publicAccessBlock === undefined) {
      throw new S3Error("NoSuchPublicAccessBlockConfiguration", undefined, {
        fields: { BucketName: ctx.bucket.name },
      });
    }
    const body = publicAccessBlockXml(bucketAccess(ctx.bucket).block);
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body };
  },
};
