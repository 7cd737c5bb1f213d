import { MAX_PUT_BYTES } from "../../src/model/object.js";
import { newObjectAttributes, writtenHeaders } from "../new-object.js";
import { requireDigestWithLock } from "../object-lock.js";
import { allowWrite } from "../object-needs.js";
import { writePreconditions } from "../preconditions.js";
import type { Operation } from "../types.js";
import { conditionNamed } from "../write-refused.js";

/** API reference, PutObject. */
export const putObject: Operation = {
  name: "PutObject",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const { headers } = ctx.request;
    await allowWrite(ctx, { bucket, key, createsObject: true });
    const attributes = newObjectAttributes(ctx, bucket, headers);
    requireDigestWithLock(headers);
    const preconditions = writePreconditions(headers);
    const body = await ctx.body.source({ algorithm: "CRC64NVME", limitBytes: MAX_PUT_BYTES });
    try {
      const version = await ctx.engine.put(ctx, { bucket: bucket.name, key, body, attributes, preconditions });
      return { status: 200, headers: writtenHeaders(ctx, bucket, version) };
    } catch (error) {
      throw conditionNamed(error, preconditions, key);
    }
  },
};
