import { policyText } from "../access/bucket-policy.js";
import type { Operation } from "../types.js";

/** S3 API reference, GetBucketPolicy. */
export const getBucketPolicy: Operation = {
  name: "GetBucketPolicy",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketPolicy" });
    return { status: 200, headers: { "content-type": "application/json" }, body: policyText(ctx.bucket) };
  },
};
