import { StorageError } from "../../src/errors/storage-error.js";
import type { Upload } from "../../src/model/object.js";
import { firstAbort } from "./evaluate.js";
import { sharedPrefix } from "./prefix.js";
import type { BucketRound } from "./round.js";

const PAGE = 1000;

async function end(round: BucketRound, { key, uploadId }: Upload): Promise<void> {
  const { ctx, engine, bucket, counts } = round;
  try {
    await engine.abortUpload(ctx, { bucket: bucket.name, key, uploadId });
    counts.aborted += 1;
  } catch (error) {
    if (error instanceof StorageError && error.reason === "no-such-upload") {
      counts.changed += 1;
      return;
    }
    counts.failed += 1;
    ctx.log.error({ bucket: bucket.name, err: error }, "an upload could not be ended by a lifecycle rule");
  }
}

/** Ends every unfinished upload of a bucket that its rules say is due. */
export async function endUploads(round: BucketRound): Promise<void> {
  const { ctx, engine, bucket, clock, counts } = round;
  const rules = round.rules.filter(({ abortDays }) => abortDays !== undefined);
  if (rules.length === 0) return;
  const request = { bucket: bucket.name, prefix: sharedPrefix(rules), delimiter: "", limit: PAGE };
  let keyMarker = "";
  let uploadIdMarker = "";
  for (let truncated = true; truncated; ) {
    if (!(await round.goOn())) return;
    const page = await engine.listUploads(ctx, { ...request, keyMarker, uploadIdMarker });
    truncated = page.truncated;
    for (const item of page.items) {
      if (!("entry" in item)) continue;
      counts.looked += 1;
      keyMarker = item.entry.key;
      uploadIdMarker = item.entry.uploadId;
      const first = firstAbort(rules, item.entry, clock.dayMs);
      if (first && first.atMs <= clock.nowMs) await end(round, item.entry);
    }
  }
}
