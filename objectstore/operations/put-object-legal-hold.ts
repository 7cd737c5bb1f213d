import { changeSubject, retryingConflicts, subjectOf } from "../changed-version.js";
import { legalHoldFromXml, requireObjectLock } from "../object-lock.js";
import { versionConditions } from "../object-needs.js";
import type { Operation } from "../types.js";

const LIMIT_BYTES = 16 * 1024;

/**
 * API reference, PutObjectLegalHold. Its document is read before it is allowed, bounded: policies ask for what it sets
 * (s3:object-lock-legal-hold).
 */
export const putObjectLegalHold: Operation = {
  name: "PutObjectLegalHold",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const legalHold = legalHoldFromXml(await ctx.body.text(LIMIT_BYTES));
    return retryingConflicts(async () => {
      const { version, versionId } = await subjectOf(ctx);
      await ctx.allow({
        action: "s3:PutObjectLegalHold",
        bucket,
        key,
        object: version,
        conditions: () => versionConditions(versionId).set("s3:object-lock-legal-hold", [legalHold ? "ON" : "OFF"]),
      });
      requireObjectLock(bucket);
      return { status: 200, headers: await changeSubject(ctx, version, { legalHold }) };
    });
  },
};
