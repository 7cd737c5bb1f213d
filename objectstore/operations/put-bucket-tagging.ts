import { documentOf } from "../document-body.js";
import { MAX_TAGGING_BYTES, storedTags, tagsFromXml } from "../tags.js";
import type { Operation } from "../types.js";

/** S3 API reference, PutBucketTagging: the whole set of tags is put, and an empty one removes it. */
export const putBucketTagging: Operation = {
  name: "PutBucketTagging",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketTagging" });
    const tags = tagsFromXml(await documentOf(ctx, { limitBytes: MAX_TAGGING_BYTES, digest: true }), "bucket");
    await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { tagging: storedTags(tags) } });
    return { status: 200, headers: {} };
  },
};
