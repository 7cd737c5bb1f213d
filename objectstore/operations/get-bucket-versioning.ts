import type { Versioning } from "../../src/model/bucket.js";
import type { Operation } from "../types.js";
import { leaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

const STATUS = {
  off: "",
  enabled: leaf("Status", "Enabled"),
  suspended: leaf("Status", "Suspended"),
} satisfies Record<Versioning, string>;

/** S3 API reference, GetBucketVersioning: no status where versioning was never on. */
export const getBucketVersioning: Operation = {
  name: "GetBucketVersioning",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:GetBucketVersioning" });
    const body = xmlDocument("VersioningConfiguration", STATUS[ctx.bucket.versioning]);
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body };
  },
};
