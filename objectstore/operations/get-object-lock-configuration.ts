import { S3Error } from "../../src/errors/s3-error.js";
import { defaultRetentionOf, objectLockXml } from "../object-lock.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, GetObjectLockConfiguration. */
export const getObjectLockConfiguration: Operation = {
  name: "GetObjectLockConfiguration",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketObjectLockConfiguration" });
    const { bucket } = ctx;
    if (!bucket.objectLock) {
      throw new S3Error("ObjectLockConfigurationNotFoundError", undefined, { fields: { BucketName: bucket.name } });
    }
    const body = objectLockXml(defaultRetentionOf(bucket));
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body };
  },
};
