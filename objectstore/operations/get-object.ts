import type { OpenObject } from "../../src/engines/object-engine.js";
import { begunBody } from "../begun-body.js";
import { requestedPart } from "../multipart/part-number.js";
import { missingFor, versionNeed } from "../object-needs.js";
import { readAnswer, refuseRangeOfPart } from "../read-object.js";
import type { Operation, RequestContext, S3Response } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { requestedVersion } from "../version-id.js";

const NO_BYTES = Buffer.alloc(0);

/** API reference, GetObject. */
export const getObject: Operation = {
  name: "GetObject",
  scope: "object",
  async run(ctx) {
    const { bucket, key, request } = ctx;
    const versionId = requestedVersion(request);
    let opened: OpenObject;
    // Looked up first: the object's own ACL and tags have a say in who may read it.
    try {
      opened = await ctx.engine.open(ctx, { bucket: bucket.name, key, versionId });
    } catch (error) {
      throw await missingFor(ctx, bucket, key, versionId, error);
    }
    try {
      const action = versionId === undefined ? "s3:GetObject" : "s3:GetObjectVersion";
      await ctx.allow(versionNeed(action, bucket, key, versionId, opened.version));
      return await answer(ctx, opened, versionId);
    } catch (error) {
      opened.close();
      throw error;
    }
  },
};

async function answer(ctx: RequestContext, opened: OpenObject, versionId: string | undefined): Promise<S3Response> {
  refuseUnsupported(ctx.request.headers);
  const partNumber = requestedPart(ctx.request.query);
  refuseRangeOfPart(ctx, partNumber);
  const parts = partNumber === undefined ? [] : await opened.parts();
  const { status, headers, range } = await readAnswer(ctx, opened.version, versionId, partNumber, parts);
  const close = () => opened.close();
  if (!range) return { status, headers, close };
  if (range.lengthBytes === 0) return { status, headers, body: NO_BYTES, close };
  const { offsetBytes, lengthBytes } = range;
  const body = opened.read(offsetBytes, lengthBytes);
  if (Buffer.isBuffer(body)) return { status, headers, body, lengthBytes, close };
  const begun = await begunBody(body);
  return {
    ...{ status, headers, body: begun.pieces, lengthBytes },
    close() {
      begun.end();
      close();
    },
  };
}
