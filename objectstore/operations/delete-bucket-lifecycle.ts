import type { Operation } from "../types.js";

/** S3 API reference, DeleteBucketLifecycle: fine where there is none. */
export const deleteBucketLifecycle: Operation = {
  name: "DeleteBucketLifecycle",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutLifecycleConfiguration" });
    await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { lifecycle: null } });
    return { status: 204, headers: {} };
  },
};
