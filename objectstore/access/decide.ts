import { S3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import type { ObjectVersion } from "../../src/model/object.js";
import type { S3Request } from "../types.js";
import type { AccessQuestion } from "./access-question.js";
import { callerId, permits, readAcl } from "./acl.js";
import { ACTIONS, POLICY_ACTIONS } from "./actions.js";
import { type BucketAccess, bucketAccess } from "./bucket-access.js";
import { evaluate, type Verdict } from "./evaluate.js";
import { identityPolicy } from "./identity-policy.js";

export type { AccessQuestion } from "./access-question.js";

/** What a bucket's policy says; one that cannot be read denies. */
function verdictOfBucket(access: BucketAccess | undefined, question: AccessQuestion): Verdict {
  const policy = access?.policy;
  if (policy === undefined) return "none";
  return policy === "damaged" ? "deny" : evaluate(policy, question);
}

function verdictOfUser(question: AccessQuestion): Verdict {
  const { caller } = question;
  const policy = caller.kind === "user" ? identityPolicy(caller.user) : undefined;
  if (policy === undefined) return "none";
  return policy === "damaged" ? "deny" : evaluate(policy, question);
}

/** RestrictPublicBuckets: a public policy gives nothing to who does not own the bucket, not even in its other statements. */
function isRestricted({ caller }: AccessQuestion, bucket: Bucket, access: BucketAccess): boolean {
  const { policy, block } = access;
  if (!block.restrictPublicBuckets || typeof policy !== "object" || !policy.isPublic) return false;
  return caller.kind === "anonymous" || caller.id !== bucket.ownerId;
}

/**
 * Whether the caller may do it (docs/decisions/010): an explicit deny ends it, then any policy that allows, then what
 * ownership and ACLs give.
 */
export function isAllowed(question: AccessQuestion): boolean {
  const { caller, need } = question;
  const action = ACTIONS.get(need.action);
  // Neither has a bucket of which anything could be asked, even where another's has the name.
  const bucketless = action?.resource === "service" || need.action === "s3:CreateBucket";
  const bucket = bucketless ? undefined : question.bucket;
  const access = bucket && bucketAccess(bucket);
  if (caller.kind === "root") {
    return (
      access?.policy === undefined || POLICY_ACTIONS.has(need.action) || verdictOfBucket(access, question) !== "deny"
    );
  }
  if (action === undefined) return false;
  const ofUser = verdictOfUser(question);
  if (ofUser === "deny") return false;
  const ofBucket = verdictOfBucket(access, question);
  if (ofBucket === "deny") return false;
  if (ofUser === "allow") return true;
  if (!bucket || !access) return bucketless && caller.kind === "user" && caller.user.policies.length === 0;
  if (ofBucket === "allow" && !isRestricted(question, bucket, access)) return true;
  return byOwnership(question, bucket, access);
}

/**
 * Whose buckets ListBuckets shows to a caller that may `s3:ListAllMyBuckets`: an owner's id, or undefined for all. A user
 * sees its own; one whose policies allow the action sees all there are, as root does.
 */
export function ownerToList(question: Omit<AccessQuestion, "need" | "bucket">): string | undefined {
  const { caller } = question;
  if (caller.kind === "root") return undefined;
  const need = { action: "s3:ListAllMyBuckets" };
  // Named one by one: a request's context has them as getters, which a spread leaves behind.
  const { request, auth, settings } = question;
  const allowed = verdictOfUser({ caller, request, auth, settings, need, bucket: undefined }) === "allow";
  return allowed ? undefined : callerId(caller);
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
function byOwnership(question: AccessQuestion, bucket: Bucket, access: BucketAccess): boolean {
  const { caller, need } = question;
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
