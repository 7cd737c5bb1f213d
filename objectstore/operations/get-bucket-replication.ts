import { S3Error } from "../../src/errors/s3-error.js";
import type { Operation } from "../types.js";

/** S3 API reference, GetBucketReplication: no bucket has one. */
export const getBucketReplication: Operation = {
  name: "GetBucketReplication",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetReplicationConfiguration" });
    throw new S3Error("ReplicationConfigurationNotFoundError", undefined, { fields: { BucketName: ctx.bucket.name } });
  },
};
