import { S3Error } from "../../src/errors/s3-error.js";
import { changeBucketBy } from "../access/change-bucket.js";
import { documentOf } from "../document-body.js";
import type { Operation } from "../types.js";
import { versioningFromXml } from "../versioning-document.js";

const MAX_BYTES = 16 * 1024;

/** S3 API reference, PutBucketVersioning. */
export const putBucketVersioning: Operation = {
  name: "PutBucketVersioning",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketVersioning" });
    if (ctx.request.headers.has("x-amz-mfa")) throw new S3Error("NotImplemented", "MFA delete is not implemented");
    const versioning = versioningFromXml(await documentOf(ctx, { limitBytes: MAX_BYTES, digest: false }));
    await changeBucketBy(ctx, (bucket) => {
      if (bucket.objectLock && versioning === "suspended") {
        throw new S3Error(
          "InvalidBucketState",
          "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
        );
      }
      return { versioning };
    });
    return { status: 200, headers: {} };
  },
};
