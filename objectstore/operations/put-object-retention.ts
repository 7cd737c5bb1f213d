import { changeSubject, retryingConflicts, subjectOf } from "../changed-version.js";
import { mayBypassGovernance } from "../delete-needs.js";
import { requireObjectLock, retentionFromXml } from "../object-lock.js";
import { addRetentionConditions, versionConditions } from "../object-needs.js";
import type { Operation } from "../types.js";

const LIMIT_BYTES = 16 * 1024;

/**
 * API reference, PutObjectRetention. Its document is read before it is allowed, bounded: policies ask for how long it
 * retains (s3:object-lock-remaining-retention-days).
 */
export const putObjectRetention: Operation = {
  name: "PutObjectRetention",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const nowMs = Date.now();
    const retention = retentionFromXml(await ctx.body.text(LIMIT_BYTES), nowMs);
    return retryingConflicts(async () => {
      const { version, versionId } = await subjectOf(ctx);
      await ctx.allow({
        action: "s3:PutObjectRetention",
        bucket,
        key,
        object: version,
        conditions: () => {
          const conditions = versionConditions(versionId);
          if (retention) addRetentionConditions(conditions, retention.mode, retention.untilMs, nowMs);
          return conditions;
        },
      });
      requireObjectLock(bucket);
      const bypassGovernance = await mayBypassGovernance(ctx, key, versionId);
      return { status: 200, headers: await changeSubject(ctx, version, { retention, bypassGovernance }) };
    });
  },
};
