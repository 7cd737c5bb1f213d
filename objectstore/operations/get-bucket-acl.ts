import { aclXml } from "../access/acl-xml.js";
import { bucketAccess } from "../access/bucket-access.js";
import { effectiveAcl } from "../access/put-acl.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, GetBucketAcl. */
export const getBucketAcl: Operation = {
  name: "GetBucketAcl",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketAcl" });
    const { bucket } = ctx;
    const acl = effectiveAcl(bucket, ctx.settings, bucketAccess(bucket).acl);
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body: aclXml(ctx, bucket.ownerId, acl) };
  },
};
