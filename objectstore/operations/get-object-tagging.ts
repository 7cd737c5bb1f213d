import { allowedSubject, versionHeader } from "../changed-version.js";
import { taggingXml } from "../tags.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** API reference, GetObjectTagging: an object without tags has an empty set. */
export const getObjectTagging: Operation = {
  name: "GetObjectTagging",
  scope: "object",
  async run(ctx) {
    const version = await allowedSubject(ctx, { current: "s3:GetObjectTagging", named: "s3:GetObjectVersionTagging" });
    const headers = { "content-type": XML_CONTENT_TYPE, ...versionHeader(ctx, version) };
    return { status: 200, headers, body: taggingXml(version.attributes.tags) };
  },
};
