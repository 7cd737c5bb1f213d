import { S3Error } from "../../src/errors/s3-error.js";
import { allowedSubject } from "../changed-version.js";
import { xmlAnswer } from "../listing/page.js";
import { requireObjectLock, retentionXml } from "../object-lock.js";
import type { Operation } from "../types.js";

/** API reference, GetObjectRetention. */
export const getObjectRetention: Operation = {
  name: "GetObjectRetention",
  scope: "object",
  async run(ctx) {
    const version = await allowedSubject(ctx, { current: "s3:GetObjectRetention", named: "s3:GetObjectRetention" });
    requireObjectLock(ctx.bucket);
    const { retention } = version.attributes;
    if (!retention) throw new S3Error("NoSuchObjectLockConfiguration");
    return xmlAnswer(retentionXml(retention));
  },
};
