import { S3Error } from "../../src/errors/s3-error.js";
import { bucketAccess } from "../access/bucket-access.js";
import { newBucketPolicy } from "../access/bucket-policy.js";
import { changeBucketBy } from "../access/change-bucket.js";
import { evaluate } from "../access/evaluate.js";
import { MAX_POLICY_BYTES } from "../access/policy-document.js";
import { malformedPolicy } from "../access/policy-error.js";
import type { Operation, RequestContext } from "../types.js";

const CONFIRM = "x-amz-confirm-remove-self-bucket-access";

async function policyOfBody(ctx: RequestContext): Promise<string> {
  const tooLong = () => malformedPolicy(`Policy document exceeds the maximum size of ${MAX_POLICY_BYTES} bytes`);
  if ((ctx.body.lengthBytes ?? 0) > MAX_POLICY_BYTES) throw tooLong();
  try {
    return await ctx.body.text(MAX_POLICY_BYTES);
  } catch (error) {
    if (error instanceof S3Error && error.code === "MaxMessageLengthExceeded") throw tooLong();
    throw error;
  }
}

/** S3 API reference, PutBucketPolicy. */
export const putBucketPolicy: Operation = {
  name: "PutBucketPolicy",
  scope: "bucket",
  async run(ctx) {
    const need = { action: "s3:PutBucketPolicy" };
    await ctx.allow(need);
    const text = await policyOfBody(ctx);
    const { policy, stored } = newBucketPolicy(text, ctx.bucket.name, ctx);
    const { caller, request, auth, settings } = ctx;
    const confirmed = request.headers.get(CONFIRM)?.toLowerCase() === "true";
    await changeBucketBy(ctx, (bucket) => {
      if (policy.isPublic && bucketAccess(bucket).block.blockPublicPolicy) {
        throw new S3Error("AccessDenied", "Access Denied: the bucket's public access block refuses public policies");
      }
      // Root keeps the way to the policy whatever it says.
      const locksOut =
        caller.kind !== "root" && evaluate(policy, { caller, bucket, need, request, auth, settings }) === "deny";
      if (locksOut && !confirmed) {
        throw new S3Error(
          "AccessDenied",
          `Access Denied: this policy keeps you from changing it; send ${CONFIRM}: true`,
        );
      }
      return { config: { policy: stored } };
    });
    return { status: 204, headers: {} };
  },
};
