import { S3Error } from "../../src/errors/s3-error.js";
import { changeBucketBy } from "../access/change-bucket.js";
import { documentOf } from "../document-body.js";
import { objectLockFromXml } from "../object-lock.js";
import type { Operation } from "../types.js";

const MAX_BYTES = 16 * 1024;

/**
 * S3 API reference, PutObjectLockConfiguration: turns object lock on where versioning is enabled, and sets or removes the
 * default retention. What objects have already stays.
 */
export const putObjectLockConfiguration: Operation = {
  name: "PutObjectLockConfiguration",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketObjectLockConfiguration" });
    const rule = objectLockFromXml(await documentOf(ctx, { limitBytes: MAX_BYTES, digest: true }));
    const objectLock = rule === null ? null : JSON.stringify(rule);
    await changeBucketBy(ctx, (bucket) => {
      if (bucket.versioning !== "enabled") {
        throw new S3Error(
          "InvalidBucketState",
          "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
        );
      }
      return { ...(bucket.objectLock ? {} : { objectLock: true as const }), config: { objectLock } };
    });
    return { status: 200, headers: {} };
  },
};
