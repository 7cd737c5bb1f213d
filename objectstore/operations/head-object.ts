import type { ObjectPart, ObjectVersion } from "../../src/model/object.js";
import { requestedPart } from "../multipart/part-number.js";
import { missingFor, versionNeed } from "../object-needs.js";
import { readAnswer, refuseRangeOfPart } from "../read-object.js";
import type { Operation, RequestContext } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { requestedVersion } from "../version-id.js";

/** API reference, HeadObject: what a GET would answer, without its bytes. */
export const headObject: Operation = {
  name: "HeadObject",
  scope: "object",
  async run(ctx) {
    const { bucket, key, request } = ctx;
    const versionId = requestedVersion(request);
    let version: ObjectVersion;
    try {
      version = await ctx.engine.head(ctx, { bucket: bucket.name, key, versionId });
    } catch (error) {
      throw await missingFor(ctx, bucket, key, versionId, error);
    }
    const action = versionId === undefined ? "s3:GetObject" : "s3:GetObjectVersion";
    await ctx.allow(versionNeed(action, bucket, key, versionId, version));
    refuseUnsupported(request.headers);
    const partNumber = requestedPart(request.query);
    refuseRangeOfPart(ctx, partNumber);
    const parts = partNumber === undefined ? [] : await partsOf(ctx, version);
    const { status, headers } = await readAnswer(ctx, version, versionId, partNumber, parts);
    return { status, headers };
  },
};

/** Of exactly the version that was looked at; [] where it is gone by now, or was put whole. */
async function partsOf(ctx: RequestContext, version: ObjectVersion): Promise<readonly ObjectPart[]> {
  if (version.partsCount === 0) return [];
  const { bucket, key } = ctx;
  const opened = await ctx.engine.open(ctx, { bucket: bucket.name, key, versionId: version.versionId });
  try {
    return opened.version.generation === version.generation ? await opened.parts() : [];
  } finally {
    opened.close();
  }
}
