import { S3Error } from "../../src/errors/s3-error.js";
import { bucketAccess } from "../access/bucket-access.js";
import { changeBucketBy } from "../access/change-bucket.js";
import { ownershipFromXml, storedOwnership } from "../access/ownership.js";
import type { Operation } from "../types.js";

const MAX_BYTES = 16 * 1024;

/** S3 API reference, PutBucketOwnershipControls. */
export const putBucketOwnershipControls: Operation = {
  name: "PutBucketOwnershipControls",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketOwnershipControls" });
    const ownership = ownershipFromXml(await ctx.body.text(MAX_BYTES));
    await changeBucketBy(ctx, (bucket) => {
      // Grants to others would end without a word (user guide, "Prerequisites for disabling ACLs").
      const foreign = bucketAccess(bucket).acl.some((grant) => !("id" in grant) || grant.id !== bucket.ownerId);
      if (ownership === "BucketOwnerEnforced" && foreign) throw new S3Error("InvalidBucketAclWithObjectOwnership");
      return { config: { ownership: storedOwnership(ownership) } };
    });
    return { status: 200, headers: {} };
  },
};
