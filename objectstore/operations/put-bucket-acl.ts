import { S3Error } from "../../src/errors/s3-error.js";
import { storedAcl } from "../access/acl.js";
import { cannedOf } from "../access/acl-headers.js";
import { ownershipOf } from "../access/bucket-access.js";
import { changeBucketBy } from "../access/change-bucket.js";
import { isBucketOwnerFullControl, refuseBlockedAcl } from "../access/new-acl.js";
import { requestedAcl } from "../access/put-acl.js";
import type { Operation } from "../types.js";

/** S3 API reference, PutBucketAcl. */
export const putBucketAcl: Operation = {
  name: "PutBucketAcl",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketAcl" });
    const { ownerId } = ctx.bucket;
    const acl = await requestedAcl(ctx, { kind: "bucket", ownerId, bucketOwnerId: ownerId });
    const canned = cannedOf(ctx.request.headers, "bucket");
    await changeBucketBy(ctx, (bucket) => {
      if (ownershipOf(bucket, ctx.settings) === "BucketOwnerEnforced") {
        // No ACL but the one that says what counts anyway, spelled out; a canned one other than its namesake is refused.
        const same = isBucketOwnerFullControl(acl, ownerId);
        if (!same || (canned !== undefined && canned !== "bucket-owner-full-control")) {
          throw new S3Error("AccessControlListNotSupported");
        }
      }
      refuseBlockedAcl(bucket, acl);
      return { config: { acl: storedAcl(acl, ownerId) } };
    });
    return { status: 200, headers: {} };
  },
};
