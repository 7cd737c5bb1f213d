import { publicAccessBlockFromXml } from "../access/public-access-block.js";
import type { Operation } from "../types.js";

const MAX_BYTES = 16 * 1024;

/** S3 API reference, PutPublicAccessBlock. */
export const putPublicAccessBlock: Operation = {
  name: "PutPublicAccessBlock",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketPublicAccessBlock" });
    const block = publicAccessBlockFromXml(await ctx.body.text(MAX_BYTES));
    const config = { publicAccessBlock: JSON.stringify(block) };
    await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config });
    return { status: 200, headers: {} };
  },
};
