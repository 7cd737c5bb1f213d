import { messageOf, StorageError } from "../../errors/storage-error.js";
import type { ScrubProgress } from "../object-engine.js";
import type { Context } from "../types.js";
import type { Place } from "./place.js";
import { open } from "./reads.js";
import { versionsPage } from "./version-entries.js";

const PAGE = 1000;

/**
 * Reads every version and compares it with what was stored of it. The upstream holds its own copies against its own
 * checksums (Ceph: deep scrub); this finds what happened to the bytes before and after.
 */
export async function* scrub(place: Place, ctx: Context, name: string | null): AsyncGenerator<ScrubProgress> {
  const damaged: { bucket: string; key: string; versionId: string; problem: string }[] = [];
  let objects = 0;
  let bytes = 0;
  const progress = (done: boolean): ScrubProgress => ({
    objects,
    bytes,
    totalObjects: objects,
    damaged: [...damaged],
    done,
  });
  for await (const bucket of name === null ? place.book.names(ctx) : [(await place.book.known(ctx, name)).name]) {
    let markers = { keyMarker: "", versionIdMarker: "" };
    for (let truncated = true; truncated; ) {
      const page = await versionsPage(place, ctx, bucket, { prefix: "", ...markers, limit: PAGE });
      for (const item of page.items) {
        if ("prefix" in item || item.deleteMarker) continue;
        if (ctx.signal.aborted) throw new StorageError("cancelled", "the scrub was cancelled");
        const { key, versionId } = item;
        const problem = await problemOf(place, ctx, bucket, key, versionId);
        objects++;
        bytes += item.sizeBytes;
        if (problem !== undefined) damaged.push({ bucket, key, versionId, problem });
      }
      yield progress(false);
      truncated = page.truncated && page.items.length > 0;
      markers = { keyMarker: page.nextKey, versionIdMarker: page.nextVersionId };
    }
  }
  yield progress(true);
}

async function problemOf(
  place: Place,
  ctx: Context,
  bucket: string,
  key: string,
  versionId: string,
): Promise<string | undefined> {
  try {
    const opened = await open(place, ctx, { bucket, key, versionId });
    try {
      const body = opened.read(0, opened.version.sizeBytes);
      if (!Buffer.isBuffer(body)) for await (const _piece of body);
    } finally {
      opened.close();
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof StorageError) || error.reason !== "damaged") {
      // Removed or overwritten meanwhile; where the upstream does not answer, the scrub ends with its words.
      if (error instanceof StorageError && error.code !== "unavailable") return undefined;
      throw error;
    }
    return messageOf(error);
  }
}
