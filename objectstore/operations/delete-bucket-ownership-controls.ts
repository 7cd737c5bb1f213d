import type { Operation } from "../types.js";

/** S3 API reference, DeleteBucketOwnershipControls. Its permission is that of setting them. */
export const deleteBucketOwnershipControls: Operation = {
  name: "DeleteBucketOwnershipControls",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketOwnershipControls" });
    if (ctx.bucket.config.ownership !== undefined) {
      await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { ownership: null } });
    }
    return { status: 204, headers: {} };
  },
};
