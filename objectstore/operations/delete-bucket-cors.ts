import type { Operation } from "../types.js";

/** S3 API reference, DeleteBucketCors: fine where there is none. */
export const deleteBucketCors: Operation = {
  name: "DeleteBucketCors",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketCORS" });
    await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { cors: null } });
    return { status: 204, headers: {} };
  },
};
