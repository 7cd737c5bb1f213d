import { corsFromXml, MAX_CORS_BYTES } from "../cors-document.js";
import { documentOf } from "../document-body.js";
import type { Operation } from "../types.js";

/** S3 API reference, PutBucketCors. */
export const putBucketCors: Operation = {
  name: "PutBucketCors",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketCORS" });
    const rules = corsFromXml(await documentOf(ctx, { limitBytes: MAX_CORS_BYTES, digest: true }));
    await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { cors: JSON.stringify(rules) } });
    return { status: 200, headers: {} };
  },
};
