import { S3Error } from "../../src/errors/s3-error.js";
import { lifecycleXml } from "../lifecycle/document.js";
import { MINIMUM_SIZE_HEADER } from "../lifecycle/minimum-size.js";
import { lifecycleOf } from "../lifecycle/rule.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, GetBucketLifecycleConfiguration, and GetBucketLifecycle before it. */
export const getBucketLifecycleConfiguration: Operation = {
  name: "GetBucketLifecycleConfiguration",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetLifecycleConfiguration" });
    const lifecycle = lifecycleOf(ctx.bucket);
    if (!lifecycle) {
      throw new S3Error("NoSuchLifecycleConfiguration", undefined, { fields: { BucketName: ctx.bucket.name } });
    }
    const headers = { "content-type": XML_CONTENT_TYPE, [MINIMUM_SIZE_HEADER]: lifecycle.minimumObjectSize };
    return { status: 200, headers, body: lifecycleXml(lifecycle.rules) };
  },
};
