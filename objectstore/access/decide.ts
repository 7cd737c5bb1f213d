import { S3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import type { ObjectVersion } from "../../src/model/object.js";
import type { Authentication, Caller, GatewaySettings, Need, S3Request } from "../types.js";
import { permits, readAcl } from "./acl.js";
import { ACTIONS } from "./actions.js";
import { type BucketAccess, bucketAccess } from "./bucket-access.js";

/** One question of who may do what. All facts come in here: nothing is read from anywhere else. */
export interface AccessQuestion {
  readonly caller: Caller;
  /** The bucket that the need is about; undefined for the service, and for a bucket that is not there yet. */
  readonly bucket: Bucket | undefined;
  readonly need: Need;
  readonly request: S3Request;
  readonly auth: Authentication;
  readonly settings: Pick<GatewaySettings, "rootUserId" | "defaultOwnership" | "region">;
}

/**
 * Whether the caller may do it (docs/decisions/010): an explicit deny ends it, then any policy that allows, then what
 * ownership and ACLs give.
 */
export function isAllowed(question: AccessQuestion): boolean {
  const { caller, need, bucket } = question;
  const action = ACTIONS.get(need.action);
  if (caller.kind === "root") return true;
  if (action === undefined) return false;
  if (action.resource === "service" || need.action === "s3:CreateBucket") return caller.kind === "user";
  return bucket !== undefined && byOwnership(question, bucket);
}

interface Parts {
  question: AccessQuestion;
  bucket: Bucket;
  access: BucketAccess;
  enforced: boolean;
}

/** What the bucket's ACL gives; under BucketOwnerEnforced it gives the owner all and others nothing. */
function bucketAclPermits(
  { question, bucket, access, enforced }: Parts,
  permission: "READ" | "WRITE" | "READ_ACP" | "WRITE_ACP",
): boolean {
  const { caller } = question;
  if (enforced) return caller.kind !== "anonymous" && caller.id === bucket.ownerId;
  return permits(access.acl, bucket.ownerId, caller, permission, access.block.ignorePublicAcls);
}

function objectAclPermits(
  { question, bucket, access, enforced }: Parts,
  object: ObjectVersion,
  permission: "READ" | "READ_ACP" | "WRITE_ACP",
): boolean {
  const { caller } = question;
  if (enforced) return caller.kind !== "anonymous" && caller.id === bucket.ownerId;
  const { acl, ownerId } = object.attributes;
  return permits(readAcl(acl, ownerId), ownerId, caller, permission, access.block.ignorePublicAcls);
}

/** What a caller has without any policy. */
function byOwnership(question: AccessQuestion, bucket: Bucket): boolean {
  const { caller, need } = question;
  const access = bucketAccess(bucket);
  const enforced = (access.ownership ?? question.settings.defaultOwnership) === "BucketOwnerEnforced";
  const parts: Parts = { question, bucket, access, enforced };
  const signed = caller.kind !== "anonymous";
  const ownsBucket = signed && caller.id === bucket.ownerId;
  const ownsObject = signed && !enforced && caller.id === need.object?.attributes.ownerId;
  const { object } = need;
  switch (ACTIONS.get(need.action)?.acl) {
    case "bucket-read":
      return bucketAclPermits(parts, "READ");
    case "bucket-write":
      return bucketAclPermits(parts, "WRITE");
    case "bucket-read-acp":
      return bucketAclPermits(parts, "READ_ACP");
    case "bucket-write-acp":
      return bucketAclPermits(parts, "WRITE_ACP");
    // Without an object there is none: its ACL gives nothing, and only the bucket's owner need not be told less.
    case "object-read":
      return object ? objectAclPermits(parts, object, "READ") : ownsBucket;
    case "object-read-acp":
      return object ? objectAclPermits(parts, object, "READ_ACP") : ownsBucket;
    // Without an object it is the ACL of one that is being written, which belongs to who may write it.
    case "object-write-acp":
      return object ? objectAclPermits(parts, object, "WRITE_ACP") : bucketAclPermits(parts, "WRITE");
    case "delete":
      return (ownsBucket || ownsObject) && bucketAclPermits(parts, "WRITE");
    case "upload":
      return ownsBucket || (signed && need.initiatorId === caller.id);
    case "tags":
      return ownsBucket || ownsObject;
    case "owner":
      return ownsBucket;
    case undefined:
      return false;
  }
}

/**
 * `x-amz-expected-bucket-owner`, and for the bucket of a copy source `x-amz-source-expected-bucket-owner`: the request is
 * for a bucket of that owner and no other.
 *
 * @throws S3Error AccessDenied
 */
export function checkExpectedOwner(
  request: Pick<S3Request, "headers">,
  bucket: Bucket,
  header: "x-amz-expected-bucket-owner" | "x-amz-source-expected-bucket-owner" = "x-amz-expected-bucket-owner",
): void {
  const expected = request.headers.get(header);
  if (expected !== undefined && expected !== bucket.ownerId) throw new S3Error("AccessDenied");
}
