import { S3Error } from "../src/errors/s3-error.js";
import { bareEtag } from "./http/conditions.js";
import { allowEtagCondition, currentOrNone, versionConditions } from "./object-needs.js";
import type { Need, RequestContext } from "./types.js";

const BYPASS = "x-amz-bypass-governance-retention";

/** What a delete is, for who may do it. */
export interface Deletion {
  readonly key: string;
  readonly versionId: string | undefined;
  readonly ifMatch: string | undefined;
}

function conditionsOf({ versionId, ifMatch }: Deletion): Map<string, readonly string[]> {
  const conditions = versionConditions(versionId);
  if (ifMatch !== undefined) conditions.set("s3:if-match", [bareEtag(ifMatch)]);
  return conditions;
}

/**
 * s3:DeleteObject, or s3:DeleteObjectVersion where a version is named. Who may not by that may still be the object's
 * owner, which only a look at the object tells.
 *
 * @throws S3Error AccessDenied
 */
export async function allowDelete(ctx: RequestContext, deletion: Deletion): Promise<void> {
  const { bucket } = ctx;
  const { key, versionId, ifMatch } = deletion;
  const need: Need = {
    action: versionId === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion",
    bucket,
    key,
    conditions: () => conditionsOf(deletion),
  };
  if (!(await ctx.allowed(need))) {
    const object = await currentOrNone(ctx, bucket, key, versionId);
    if (!object) throw new S3Error("AccessDenied");
    await ctx.allow({ ...need, object });
  }
  if (ifMatch !== undefined) await allowEtagCondition(ctx, bucket, key, ifMatch);
}

/** Whether the request asks to bypass governance retention, and may. Who may not is held to the lock. */
export async function mayBypassGovernance(
  ctx: RequestContext,
  key: string,
  versionId: string | undefined,
): Promise<boolean> {
  if (ctx.request.headers.get(BYPASS)?.toLowerCase() !== "true") return false;
  const conditions = () => versionConditions(versionId);
  return ctx.allowed({ action: "s3:BypassGovernanceRetention", bucket: ctx.bucket, key, conditions });
}

/** @throws S3Error InvalidArgument for the bypass of a lock that the bucket cannot have */
export function refuseBypassWithoutLock(ctx: RequestContext): void {
  if (ctx.bucket.objectLock || !ctx.request.headers.has(BYPASS)) return;
  throw new S3Error("InvalidArgument", `${BYPASS} is only applicable to Object Lock enabled buckets.`, {
    fields: { ArgumentName: BYPASS },
  });
}
