import { S3Error } from "../../src/errors/s3-error.js";
import { corsRulesOf } from "../cors.js";
import { corsXml } from "../cors-document.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, GetBucketCors. */
export const getBucketCors: Operation = {
  name: "GetBucketCors",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketCORS" });
    const rules = corsRulesOf(ctx.bucket);
    if (!rules) throw new S3Error("NoSuchCORSConfiguration", undefined, { fields: { BucketName: ctx.bucket.name } });
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body: corsXml(rules) };
  },
};
