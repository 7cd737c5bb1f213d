import { S3Error } from "../../src/errors/s3-error.js";
import type { Operation } from "../types.js";

/** S3 API reference, GetBucketEncryption: no bucket has one. */
export const getBucketEncryption: Operation = {
  name: "GetBucketEncryption",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetEncryptionConfiguration" });
    throw new S3Error("ServerSideEncryptionConfigurationNotFoundError", undefined, {
      fields: { BucketName: ctx.bucket.name },
    });
  },
};
