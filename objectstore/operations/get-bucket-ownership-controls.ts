import { S3Error } from "../../src/errors/s3-error.js";
import { bucketAccess } from "../access/bucket-access.js";
import { ownershipXml } from "../access/ownership.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, GetBucketOwnershipControls. */
export const getBucketOwnershipControls: Operation = {
  name: "GetBucketOwnershipControls",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketOwnershipControls" });
    const { ownership } = bucketAccess(ctx.bucket);
    if (ownership === undefined) {
      throw new S3Error("OwnershipControlsNotFoundError", undefined, { fields: { BucketName: ctx.bucket.name } });
    }
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body: ownershipXml(ownership) };
  },
};
