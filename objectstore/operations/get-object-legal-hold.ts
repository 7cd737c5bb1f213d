import { S3Error } from "../../src/errors/s3-error.js";
import { allowedSubject } from "../changed-version.js";
import { xmlAnswer } from "../listing/page.js";
import { legalHoldXml, requireObjectLock } from "../object-lock.js";
import type { Operation } from "../types.js";

/** API reference, GetObjectLegalHold. */
export const getObjectLegalHold: Operation = {
  name: "GetObjectLegalHold",
  scope: "object",
  async run(ctx) {
    const version = await allowedSubject(ctx, { current: "s3:GetObjectLegalHold", named: "s3:GetObjectLegalHold" });
    requireObjectLock(ctx.bucket);
    const { legalHold } = version.attributes;
    if (legalHold === null) throw new S3Error("NoSuchObjectLockConfiguration");
    return xmlAnswer(legalHoldXml(legalHold));
  },
};
