import { S3Error } from "../../src/errors/s3-error.js";
import { bucketTagsOf, taggingXml } from "../tags.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, GetBucketTagging. */
export const getBucketTagging: Operation = {
  name: "GetBucketTagging",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketTagging" });
    const tags = bucketTagsOf(ctx.bucket);
    if (!tags) throw new S3Error("NoSuchTagSet", undefined, { fields: { BucketName: ctx.bucket.name } });
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body: taggingXml(tags) };
  },
};
