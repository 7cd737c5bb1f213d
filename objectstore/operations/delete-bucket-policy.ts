import type { Operation } from "../types.js";

/** S3 API reference, DeleteBucketPolicy: without a policy it is done already. */
export const deleteBucketPolicy: Operation = {
  name: "DeleteBucketPolicy",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:DeleteBucketPolicy" });
    if (ctx.bucket.config.policy !== undefined) {
      await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { policy: null } });
    }
    return { status: 204, headers: {} };
  },
};
