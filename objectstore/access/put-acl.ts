import { S3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import type { RequestContext } from "../types.js";
import { type Acl, isPublicGrant, privateAcl } from "./acl.js";
import { aclFromHeaders, type Owned } from "./acl-headers.js";
import { aclFromXml, MAX_ACL_BYTES } from "./acl-xml.js";
import { bucketAccess, ownershipOf } from "./bucket-access.js";
import type { Ownership } from "./ownership.js";

/**
 * What PutBucketAcl or PutObjectAcl asks for: in its headers, or else in its body.
 *
 * @param body the request's, at most MAX_ACL_BYTES
 *
 * @throws S3Error UnexpectedContent for both, MissingSecurityHeader for neither, and what reading either throws
 */
export async function requestedAcl(
  ctx: RequestContext,
  owned: Owned,
  body = () => ctx.body.text(MAX_ACL_BYTES),
): Promise<Acl> {
  const fromHeaders = aclFromHeaders(ctx, ctx.request.headers, owned);
  if (fromHeaders) {
    if ((ctx.body.lengthBytes ?? 0) > 0) throw new S3Error("UnexpectedContent");
    return fromHeaders;
  }
  const text = await body();
  if (text === "") {
    throw new S3Error("MissingSecurityHeader", undefined, { fields: { MissingHeaderName: "x-amz-acl" } });
  }
  return aclFromXml(ctx, text, owned.ownerId);
}

/** Whose an object is: its writer's, and under BucketOwnerEnforced the bucket's owner's. */
export function objectOwner(bucket: Bucket, ownership: Ownership, ownerId: string): string {
  return ownership === "BucketOwnerEnforced" ? bucket.ownerId : ownerId;
}

/** The ACL that counts: without what BucketOwnerEnforced and IgnorePublicAcls take from it, as GET is to show it. */
export function effectiveAcl(bucket: Bucket, settings: RequestContext["settings"], acl: Acl): Acl {
  if (ownershipOf(bucket, settings) === "BucketOwnerEnforced") return privateAcl(bucket.ownerId);
  return bucketAccess(bucket).block.ignorePublicAcls ? acl.filter((grant) => !isPublicGrant(grant)) : acl;
}
