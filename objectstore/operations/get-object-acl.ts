import { readAcl } from "../access/acl.js";
import { aclXml } from "../access/acl-xml.js";
import { ownershipOf } from "../access/bucket-access.js";
import { effectiveAcl, objectOwner } from "../access/put-acl.js";
import { allowedSubject } from "../changed-version.js";
import type { Operation } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

/** S3 API reference, GetObjectAcl. */
export const getObjectAcl: Operation = {
  name: "GetObjectAcl",
  scope: "object",
  async run(ctx) {
    const actions = { current: "s3:GetObjectAcl", named: "s3:GetObjectVersionAcl" };
    const { attributes } = await allowedSubject(ctx, actions, "NoSuchKey");
    const { bucket, settings } = ctx;
    const ownerId = objectOwner(bucket, ownershipOf(bucket, settings), attributes.ownerId);
    const acl = effectiveAcl(bucket, settings, readAcl(attributes.acl, attributes.ownerId));
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body: aclXml(ctx, ownerId, acl) };
  },
};
