import type { DeleteObject } from "../../src/engines/object-engine.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { VersionSummary } from "../../src/model/object.js";
import { type Due, dueNow, isForTags } from "./evaluate.js";
import { sharedPrefix } from "./prefix.js";
import type { BucketRound, LifecycleCounts } from "./round.js";
import { VersionWalk } from "./walk.js";

const PAGE = 1000;

interface Ending {
  readonly action: Due["action"];
  readonly request: DeleteObject;
}

/** Whether the version's tags let one of the rules end it. They are read only where every rule asks for some. */
async function tagsMatch({ ctx, engine, bucket }: BucketRound, due: Due, version: VersionSummary): Promise<boolean> {
  if (due.rules.some(({ filter }) => filter.tags.length === 0)) return true;
  const { key, versionId, generation, etag, lastModifiedMs } = version;
  try {
    const read = await engine.head(ctx, { bucket: bucket.name, key, versionId });
    // An engine on an upstream knows a version's own generation by its head alone; its listing names it by other means.
    const same = read.generation === generation || (read.etag === etag && read.lastModifiedMs <= lastModifiedMs);
    return same && due.rules.some((rule) => isForTags(rule, read.attributes.tags));
  } catch (error) {
    if (error instanceof StorageError && error.code === "not-found") return false;
    throw error;
  }
}

function endingOf(round: BucketRound, action: Due["action"], version: VersionSummary): Ending {
  const { key, versionId, generation } = version;
  // A noncurrent version is the current one again where what was newer is gone meanwhile.
  const preconditions = { generation, ...(version.isLatest ? {} : { noncurrent: true as const }) };
  const request = {
    ...{ bucket: round.bucket.name, key, preconditions, bypassGovernance: false },
    // Without a version id it is a delete as a client's: it leaves a delete marker where versions are kept.
    ...(action === "remove" ? { versionId } : {}),
  };
  return { action, request };
}

function countFailure(round: BucketRound, error: unknown): void {
  const { counts } = round;
  const reason = error instanceof StorageError ? error.reason : undefined;
  if (reason === "object-locked") counts.locked += 1;
  else if (reason === "conflict" || reason === "precondition-failed") counts.changed += 1;
  else if (error instanceof StorageError && error.code === "not-found") counts.changed += 1;
  else {
    counts.failed += 1;
    round.ctx.log.error({ bucket: round.bucket.name, err: error }, "a version could not be ended by a lifecycle rule");
  }
}

async function carryOut(round: BucketRound, endings: readonly Ending[]): Promise<void> {
  if (endings.length === 0) return;
  const requests = endings.map(({ request }) => request);
  const outcomes = await round.engine.deleteMany(round.ctx, requests);
  for (const [index, outcome] of outcomes.entries()) {
    const counted: keyof LifecycleCounts = endings[index]?.action === "expire" ? "expired" : "removed";
    if (outcome instanceof Error) countFailure(round, outcome);
    else round.counts[counted] += 1;
  }
}

/** Ends every version of a bucket that its rules say is due. */
export async function endVersions(round: BucketRound): Promise<void> {
  const { ctx, engine, bucket, clock, counts } = round;
  const rules = round.rules.filter(({ expiration, noncurrent }) => expiration ?? noncurrent);
  if (rules.length === 0) return;
  const request = { bucket: bucket.name, prefix: sharedPrefix(rules), delimiter: "", limit: PAGE };
  const walk = new VersionWalk();
  let keyMarker = "";
  let versionIdMarker = "";
  for (let truncated = true; truncated; ) {
    if (!(await round.goOn())) return;
    const page = await engine.listVersions(ctx, { ...request, keyMarker, versionIdMarker });
    truncated = page.truncated;
    const endings: Ending[] = [];
    const judge = async (settled: ReturnType<VersionWalk["end"]>) => {
      const due = settled && dueNow(rules, settled.seen, clock);
      if (due && (await tagsMatch(round, due, settled.version))) {
        endings.push(endingOf(round, due.action, settled.version));
      }
    };
    for (const item of page.items) {
      if (!("entry" in item)) continue;
      counts.looked += 1;
      await judge(walk.push(item.entry));
      keyMarker = item.entry.key;
      versionIdMarker = item.entry.versionId;
    }
    if (!truncated) await judge(walk.end());
    await carryOut(round, endings);
  }
}
