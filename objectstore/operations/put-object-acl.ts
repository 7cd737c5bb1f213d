import { S3Error } from "../../src/errors/s3-error.js";
import { storedAcl } from "../access/acl.js";
import { MAX_ACL_BYTES } from "../access/acl-xml.js";
import { ownershipOf } from "../access/bucket-access.js";
import { isBucketOwnerFullControl, refuseBlockedAcl } from "../access/new-acl.js";
import { objectOwner, requestedAcl } from "../access/put-acl.js";
import { allowedSubject, changeSubject, retryingConflicts } from "../changed-version.js";
import type { Operation, RequestContext } from "../types.js";

/** S3 API reference, PutObjectAcl. */
export const putObjectAcl: Operation = {
  name: "PutObjectAcl",
  scope: "object",
  async run(ctx) {
    let asked: string | undefined;
    // The body can be read but once, and not before the caller may do this.
    const body = async () => {
      asked ??= await ctx.body.text(MAX_ACL_BYTES);
      return asked;
    };
    await retryingConflicts(() => change(ctx, body));
    return { status: 200, headers: {} };
  },
};

async function change(ctx: RequestContext, body: () => Promise<string>): Promise<void> {
  const version = await allowedSubject(ctx, { current: "s3:PutObjectAcl", named: "s3:PutObjectVersionAcl" });
  const { bucket } = ctx;
  const ownership = ownershipOf(bucket, ctx.settings);
  const ownerId = objectOwner(bucket, ownership, version.attributes.ownerId);
  const acl = await requestedAcl(ctx, { kind: "object", ownerId, bucketOwnerId: bucket.ownerId }, body);
  if (ownership === "BucketOwnerEnforced") {
    const canned = ctx.request.headers.get("x-amz-acl");
    if (!isBucketOwnerFullControl(acl, ownerId) || (canned !== undefined && canned !== "bucket-owner-full-control")) {
      throw new S3Error("AccessControlListNotSupported");
    }
    // It says what counts anyway, and what the object keeps for when ACLs count again stays as it is.
    return;
  }
  refuseBlockedAcl(bucket, acl);
  await changeSubject(ctx, version, { acl: storedAcl(acl, ownerId) });
}
