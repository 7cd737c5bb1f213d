import type { Operation } from "../types.js";

/** S3 API reference, DeleteBucketTagging: fine where there are none. */
export const deleteBucketTagging: Operation = {
  name: "DeleteBucketTagging",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketTagging" });
    await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { tagging: null } });
    return { status: 204, headers: {} };
  },
};
