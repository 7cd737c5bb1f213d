import type { Operation } from "../types.js";

/** S3 API reference, DeletePublicAccessBlock. Its permission is that of setting it. */
export const deletePublicAccessBlock: Operation = {
  name: "DeletePublicAccessBlock",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketPublicAccessBlock" });
    if (ctx.bucket.config.publicAccessBlock !== undefined) {
      await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { publicAccessBlock: null } });
    }
    return { status: 204, headers: {} };
  },
};
