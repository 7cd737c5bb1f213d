import { S3Error } from "../../src/errors/s3-error.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { Bucket, NewBucket } from "../../src/model/bucket.js";
import { bucketNameProblem } from "../../src/model/bucket-name.js";
import { hasAclHeaders, needsAclPermission } from "../access/acl-headers.js";
import { aclOfNewBucket } from "../access/new-acl.js";
import { ownershipFromHeaders, storedOwnership } from "../access/ownership.js";
import { newBucketFromXml } from "../new-bucket.js";
import { storedTags } from "../tags.js";
import type { Operation, RequestContext } from "../types.js";

const MAX_BYTES = 65_536;
const OBJECT_LOCK = "x-amz-bucket-object-lock-enabled";
const OWNERSHIP = "x-amz-object-ownership";

/** Buckets of a namespace other than the one that all users share. */
function refuseNamespaces(ctx: RequestContext): void {
  const namespace = ctx.request.headers.get("x-amz-bucket-namespace") ?? "global";
  if (namespace !== "global") throw new S3Error("NotImplemented", "x-amz-bucket-namespace is not implemented");
}

function wantsObjectLock(ctx: RequestContext): boolean {
  const text = ctx.request.headers.get(OBJECT_LOCK);
  if (text === undefined || text.toLowerCase() === "false") return false;
  if (text.toLowerCase() === "true") return true;
  throw new S3Error("InvalidArgument", `${OBJECT_LOCK} is true or false`, {
    fields: { ArgumentName: OBJECT_LOCK, ArgumentValue: text },
  });
}

/** The rights that the headers need beside `s3:CreateBucket` (API reference, CreateBucket, "Permissions"). */
function extraActions(ctx: RequestContext, objectLock: boolean): string[] {
  const { headers } = ctx.request;
  const actions: string[] = [];
  if (needsAclPermission(headers)) actions.push("s3:PutBucketAcl");
  if (objectLock) actions.push("s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning");
  if (headers.has(OWNERSHIP)) actions.push("s3:PutBucketOwnershipControls");
  return actions;
}

/** The bucket as it will be: its maker owns it, and a policy may still deny. */
function prospective(wanted: NewBucket): Bucket {
  return Object.freeze({ ...wanted, createdMs: 0, versioning: "off", revision: 0 });
}

/** What the headers ask for. */
function newBucket(ctx: RequestContext, name: string): NewBucket {
  const { headers } = ctx.request;
  const { caller } = ctx;
  if (caller.kind === "anonymous") throw new S3Error("AccessDenied");
  const ownership = ownershipFromHeaders(headers);
  const acl = aclOfNewBucket(ctx, headers, ownership);
  return {
    name,
    ownerId: caller.id,
    region: ctx.settings.region,
    objectLock: wantsObjectLock(ctx),
    durability: "strict",
    quotaBytes: null,
    quotaObjects: null,
    config: {
      ...(ownership === undefined ? {} : { ownership: storedOwnership(ownership) }),
      ...(acl === null ? {} : { acl }),
    },
  };
}

/**
 * The name is taken. In us-east-1 S3 answers 200 to the owner; here too, where the request asks for nothing that the bucket
 * would then not have.
 */
async function alreadyThere(ctx: RequestContext, wanted: NewBucket): Promise<void> {
  const there = await ctx.engine.bucket(ctx, wanted.name);
  if (!there) throw new S3Error("OperationAborted");
  const fields = { BucketName: wanted.name };
  if (there.ownerId !== wanted.ownerId) throw new S3Error("BucketAlreadyExists", undefined, { fields });
  const asksMore = hasAclHeaders(ctx.request.headers) || wanted.objectLock || Object.keys(wanted.config).length > 0;
  if (ctx.settings.region !== "us-east-1" || asksMore)
    throw new S3Error("BucketAlreadyOwnedByYou", undefined, { fields });
}

/** S3 API reference, CreateBucket. */
export const createBucket: Operation = {
  name: "CreateBucket",
  scope: "bucket",
  async run(ctx) {
    const name = ctx.request.bucket ?? "";
    await ctx.allow({ action: "s3:CreateBucket" });
    const problem = bucketNameProblem(name);
    if (problem !== undefined) {
      throw new S3Error("InvalidBucketName", `The specified bucket is not valid: ${problem}`, {
        fields: { BucketName: name },
      });
    }
    refuseNamespaces(ctx);
    const wanted = newBucket(ctx, name);
    const bucket = prospective(wanted);
    for (const action of extraActions(ctx, wanted.objectLock)) await ctx.allow({ action, bucket });
    const { tags } = newBucketFromXml(await ctx.body.text(MAX_BYTES), ctx.settings.region);
    const tagging = storedTags(tags);
    if (tagging !== null) {
      await ctx.allow({ action: "s3:TagResource", bucket });
      wanted.config.tagging = tagging;
    }
    try {
      await ctx.engine.createBucket(ctx, wanted);
    } catch (error) {
      if (!(error instanceof StorageError) || error.reason !== "bucket-exists") throw error;
      await alreadyThere(ctx, wanted);
    }
    return { status: 200, headers: { location: `/${name}` } };
  },
};
