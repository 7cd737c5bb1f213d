import { documentOf } from "../document-body.js";
import { lifecycleFromXml, MAX_LIFECYCLE_BYTES } from "../lifecycle/document.js";
import { MINIMUM_SIZE_HEADER, minimumSizeOf } from "../lifecycle/minimum-size.js";
import type { Lifecycle } from "../lifecycle/rule.js";
import type { Operation } from "../types.js";

/** S3 API reference, PutBucketLifecycleConfiguration, and PutBucketLifecycle before it. */
export const putBucketLifecycleConfiguration: Operation = {
  name: "PutBucketLifecycleConfiguration",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutLifecycleConfiguration" });
    const minimumObjectSize = minimumSizeOf(ctx.request.headers);
    const rules = lifecycleFromXml(await documentOf(ctx, { limitBytes: MAX_LIFECYCLE_BYTES, digest: true }));
    const lifecycle: Lifecycle = { minimumObjectSize, rules };
    await ctx.engine.changeBucket(ctx, ctx.bucket.name, { config: { lifecycle: JSON.stringify(lifecycle) } });
    return { status: 200, headers: { [MINIMUM_SIZE_HEADER]: minimumObjectSize } };
  },
};
