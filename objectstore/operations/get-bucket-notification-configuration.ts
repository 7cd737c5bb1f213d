import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** S3 API reference, GetBucketNotificationConfiguration: empty, as where there are no notifications. */
export const getBucketNotificationConfiguration: Operation = {
  name: "GetBucketNotificationConfiguration",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketNotification" });
    return {
      status: 200,
      headers: { "content-type": XML_CONTENT_TYPE },
      body: xmlDocument("NotificationConfiguration"),
    };
  },
};
