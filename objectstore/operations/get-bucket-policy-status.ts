import { isPublicGrant } from "../access/acl.js";
import { bucketAccess } from "../access/bucket-access.js";
import { effectiveAcl } from "../access/put-acl.js";
import type { Operation } from "../types.js";
import { leaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/**
 * S3 API reference, GetBucketPolicyStatus: whether the bucket is public, which its ACL can make it too (user guide, "The
 * meaning of public"). A bucket without a policy has an answer.
 */
export const getBucketPolicyStatus: Operation = {
  name: "GetBucketPolicyStatus",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketPolicyStatus" });
    const { policy, acl } = bucketAccess(ctx.bucket);
    const byPolicy = typeof policy === "object" && policy.isPublic;
    const isPublic = byPolicy || effectiveAcl(ctx.bucket, ctx.settings, acl).some(isPublicGrant);
    const body = xmlDocument("PolicyStatus", leaf("IsPublic", isPublic));
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body };
  },
};
