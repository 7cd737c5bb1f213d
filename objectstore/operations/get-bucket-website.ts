import { S3Error } from "../../src/errors/s3-error.js";
import type { Operation } from "../types.js";

/** S3 API reference, GetBucketWebsite: no bucket has one. */
export const getBucketWebsite: Operation = {
  name: "GetBucketWebsite",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketWebsite" });
    throw new S3Error("NoSuchWebsiteConfiguration", undefined, { fields: { BucketName: ctx.bucket.name } });
  },
};
