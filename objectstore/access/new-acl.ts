import { S3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import type { Caller, GatewaySettings } from "../types.js";
import { type Acl, callerId, isPublicGrant, storedAcl } from "./acl.js";
import { aclFromHeaders, cannedOf, hasAclHeaders } from "./acl-headers.js";
import { bucketAccess, ownershipOf } from "./bucket-access.js";
import type { Directory } from "./grantees.js";
import type { Ownership } from "./ownership.js";

/** What these functions need of a request; a RequestContext is one. */
export interface AclContext extends Directory {
  readonly caller: Caller;
  readonly settings: Pick<GatewaySettings, "rootUserId" | "defaultOwnership">;
}

/** @throws S3Error AccessDenied for a public ACL where the bucket blocks them (BlockPublicAcls) */
export function refuseBlockedAcl(bucket: Bucket, acl: Acl): void {
  if (bucketAccess(bucket).block.blockPublicAcls && acl.some(isPublicGrant)) {
    throw new S3Error("AccessDenied", "Access Denied: the bucket's public access block refuses public ACLs");
  }
}

/** Whether an ACL says no more than bucket-owner-full-control, which BucketOwnerEnforced still takes. */
export function isBucketOwnerFullControl(acl: Acl, bucketOwnerId: string): boolean {
  return acl.every((grant) => "id" in grant && grant.id === bucketOwnerId && grant.permission === "FULL_CONTROL");
}

/**
 * Owner and ACL of an object that is being written (PutObject, CopyObject, CreateMultipartUpload, PostObject), ready for
 * its attributes. The caller of this asks `s3:PutObjectAcl` too where
 * `needsAclPermission(headers)`.
 *
 * @param headers the request's; of a POST form its fields under the headers' names
 * @throws S3Error AccessControlListNotSupported under BucketOwnerEnforced, AccessDenied under BlockPublicAcls,
 *   InvalidArgument, InvalidRequest, UnresolvableGrantByEmailAddress, MalformedACLError
 */
export function accessOfNewObject(
  ctx: AclContext,
  bucket: Bucket,
  headers: ReadonlyMap<string, string>,
): { ownerId: string; acl: string | null } {
  const ownership = ownershipOf(bucket, ctx.settings);
  const writerId = callerId(ctx.caller);
  if (!hasAclHeaders(headers)) {
    return { ownerId: ownership === "BucketOwnerEnforced" ? bucket.ownerId : writerId, acl: null };
  }
  const canned = cannedOf(headers, "object");
  if (ownership === "BucketOwnerEnforced") {
    const owned = { kind: "object", ownerId: bucket.ownerId, bucketOwnerId: bucket.ownerId } as const;
    const acl = canned === undefined ? aclFromHeaders(ctx, headers, owned) : undefined;
    if (canned !== "bucket-owner-full-control" && !(acl && isBucketOwnerFullControl(acl, bucket.ownerId))) {
      throw new S3Error("AccessControlListNotSupported");
    }
    return { ownerId: bucket.ownerId, acl: null };
  }
  const given = ownership === "BucketOwnerPreferred" && canned === "bucket-owner-full-control";
  const ownerId = given ? bucket.ownerId : writerId;
  const acl = aclFromHeaders(ctx, headers, { kind: "object", ownerId, bucketOwnerId: bucket.ownerId });
  if (!acl) return { ownerId, acl: null };
  refuseBlockedAcl(bucket, acl);
  return { ownerId, acl: storedAcl(acl, ownerId) };
}

/**
 * The ACL of a bucket that is being made (CreateBucket), for `config.acl`; null is private.
 *
 * @param ownership what `x-amz-object-ownership` says (ownershipFromHeaders)
 * @throws S3Error InvalidBucketAclWithObjectOwnership for grants to others under BucketOwnerEnforced, and what
 *   aclFromHeaders throws
 */
export function aclOfNewBucket(
  ctx: AclContext,
  headers: ReadonlyMap<string, string>,
  ownership: Ownership | undefined,
): string | null {
  const ownerId = callerId(ctx.caller);
  const acl = aclFromHeaders(ctx, headers, { kind: "bucket", ownerId, bucketOwnerId: ownerId });
  if (!acl) return null;
  const enforced = (ownership ?? ctx.settings.defaultOwnership) === "BucketOwnerEnforced";
  if (enforced && !acl.every((grant) => "id" in grant && grant.id === ownerId)) {
    throw new S3Error("InvalidBucketAclWithObjectOwnership");
  }
  return storedAcl(acl, ownerId);
}
