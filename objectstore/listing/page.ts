import type { ListPage } from "../../src/engines/object-engine.js";
import type { VersionSummary } from "../../src/model/object.js";
import type { RequestContext, S3Response } from "../types.js";
import { XML_CONTENT_TYPE } from "../xml/write.js";

const EMPTY: ListPage<VersionSummary> = { items: [], truncated: false };

/** One page of the bucket's keys. Of no keys at all it is empty and final, as at Amazon, and the engine is not asked. */
export function listPage(
  ctx: RequestContext,
  request: { prefix: string; delimiter: string; after: string; limit: number },
): Promise<ListPage<VersionSummary>> {
  if (request.limit === 0) return Promise.resolve(EMPTY);
  return ctx.engine.list(ctx, { bucket: ctx.bucket.name, ...request });
}

export function xmlAnswer(body: string): S3Response {
  return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body };
}
