import { StorageError } from "../../src/errors/storage-error.js";
import type { Operation, RequestContext } from "../types.js";

const PAGE = 1000;
/** A client that begins uploads faster than they are ended does not hold the request for ever. */
const MAX_ROUNDS = 1000;

/** Ends a page of unfinished uploads of a bucket that has nothing else. False where it has, or where there were none. */
async function endUploads(ctx: RequestContext): Promise<boolean> {
  const bucket = ctx.bucket.name;
  const { objects, deleteMarkers, uploads } = await ctx.engine.usage(ctx, bucket);
  if (objects > 0 || deleteMarkers > 0 || uploads === 0) return false;
  const request = { bucket, prefix: "", delimiter: "", limit: PAGE, keyMarker: "", uploadIdMarker: "" };
  const page = await ctx.engine.listUploads(ctx, request);
  for (const item of page.items) {
    if (!("entry" in item)) continue;
    const { key, uploadId } = item.entry;
    await ctx.engine.abortUpload(ctx, { bucket, key, uploadId }).catch((error: unknown) => {
      // Completed or aborted meanwhile: the next look at the bucket says what it left.
      if (!(error instanceof StorageError) || error.reason !== "no-such-upload") throw error;
    });
  }
  return page.items.length > 0;
}

/**
 * S3 API reference, DeleteBucket: a bucket without objects and versions goes, and its unfinished uploads go with it, which
 * the engine counts as content.
 */
export const deleteBucket: Operation = {
  name: "DeleteBucket",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:DeleteBucket" });
    for (let round = 1; ; round += 1) {
      try {
        await ctx.engine.deleteBucket(ctx, ctx.bucket.name);
        return { status: 204, headers: {} };
      } catch (error) {
        if (!(error instanceof StorageError) || error.reason !== "bucket-not-empty") throw error;
        if (round === MAX_ROUNDS || !(await endUploads(ctx))) throw error;
      }
    }
  },
};
