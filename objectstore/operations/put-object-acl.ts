import { S3Error } from "../../src/errors/s3-error.js";
import { storedAcl } from "../access/acl.js";
import { ownershipOf } from "../access/bucket-access.js";
import { isBucketOwnerFullControl, refuseBlockedAcl } from "../access/new-acl.js";
import { objectOwner, requestedAcl } from "../access/put-acl.js";
import { allowedSubject } from "../changed-version.js";
import type { Operation } from "../types.js";

/** S3 API reference, PutObjectAcl. */
export const putObjectAcl: Operation = {
  name: "PutObjectAcl",
  scope: "object",
  async run(ctx) {
    const version = await allowedSubject(ctx, { current: "s3:PutObjectAcl", named: "s3:PutObjectVersionAcl" });
    const { bucket } = ctx;
    const ownership = ownershipOf(bucket, ctx.settings);
    const ownerId = objectOwner(bucket, ownership, version.attributes.ownerId);
    const acl = await requestedAcl(ctx, { kind: "object", ownerId, bucketOwnerId: bucket.ownerId });
    if (ownership === "BucketOwnerEnforced") {
      const canned = ctx.request.headers.get("x-amz-acl");
      if (!isBucketOwnerFullControl(acl, ownerId) || (canned !== undefined && canned !== "bucket-owner-full-control")) {
        throw new S3Error("AccessControlListNotSupported");
      }
      // It says what counts anyway, and what the object keeps for when ACLs count again stays as it is.
      return { status: 200, headers: {} };
    }
    refuseBlockedAcl(bucket, acl);
    const ref = { bucket: bucket.name, key: ctx.key, versionId: version.versionId };
    await ctx.engine.changeVersion(ctx, ref, { acl: storedAcl(acl, ownerId) });
    return { status: 200, headers: {} };
  },
};
