import { setImmediate } from "node:timers/promises";
import type { ObjectEngine } from "../../src/engines/object-engine.js";
import type { Context } from "../../src/engines/types.js";
import type { Bucket } from "../../src/model/bucket.js";
import type { GatewaySettings } from "../types.js";
import type { Clock } from "./evaluate.js";
import { type LifecycleRule, lifecycleOf } from "./rule.js";
import { endUploads } from "./uploads.js";
import { endVersions } from "./versions.js";

export interface LifecycleCounts {
  /** Buckets with rules that were looked at. */
  buckets: number;
  /** Versions and uploads that were looked at. */
  looked: number;
  /** Current versions that were deleted, where versions are kept by a delete marker. */
  expired: number;
  /** Noncurrent versions, and delete markers with nothing under them, that are gone for good. */
  removed: number;
  /** Unfinished uploads that were ended. */
  aborted: number;
  /** Versions that were left, since object lock holds them. */
  locked: number;
  /** Versions that changed between the look at them and their end: the next round looks again. */
  changed: number;
  /** What could not be done; the log says why. */
  failed: number;
}

/** One bucket in one round. */
export interface BucketRound {
  readonly ctx: Context;
  readonly engine: ObjectEngine;
  readonly bucket: Bucket;
  /** The enabled ones. */
  readonly rules: readonly LifecycleRule[];
  readonly clock: Clock;
  readonly counts: LifecycleCounts;
  /** Between two pages: false when the bucket or its rules changed, or the server stops. Gives way to other work. */
  goOn(): Promise<boolean>;
}

const PAGE = 1000;

async function bucketRound(round: Omit<BucketRound, "goOn" | "rules">): Promise<void> {
  const { ctx, engine, bucket } = round;
  const rules = lifecycleOf(bucket)?.rules.filter(({ enabled }) => enabled) ?? [];
  const goOn = async () => {
    await setImmediate();
    // What a changed rule spares must not go by the rule that it was.
    return !ctx.signal.aborted && (await engine.bucket(ctx, bucket.name))?.revision === bucket.revision;
  };
  const all: BucketRound = { ...round, rules, goOn };
  await endVersions(all);
  await endUploads(all);
}

/**
 * One look at every bucket that has lifecycle rules, and all that they say is due at `nowMs`. A version is ended as it was
 * when it was looked at (its generation) or not at all, so no write is lost that comes meanwhile. Memory is bounded: a page
 * of buckets and a page of versions at a time. A bucket that fails is counted and logged, and does not keep the others.
 */
export async function lifecycleRound(
  ctx: Context,
  engine: ObjectEngine,
  settings: Pick<GatewaySettings, "lifecycleDayMs">,
  nowMs: number,
): Promise<LifecycleCounts> {
  const counts = { buckets: 0, looked: 0, expired: 0, removed: 0, aborted: 0, locked: 0, changed: 0, failed: 0 };
  const clock: Clock = { nowMs, dayMs: settings.lifecycleDayMs };
  for (let after = ""; !ctx.signal.aborted; ) {
    const page = await engine.buckets(ctx, { prefix: "", after, limit: PAGE });
    for (const bucket of page) {
      if (bucket.config.lifecycle === undefined || ctx.signal.aborted) continue;
      counts.buckets += 1;
      try {
        await bucketRound({ ctx, engine, bucket, clock, counts });
      } catch (error) {
        counts.failed += 1;
        ctx.log.error({ bucket: bucket.name, err: error }, "lifecycle rules could not be followed");
      }
    }
    const last = page.at(-1);
    if (!last || page.length < PAGE) break;
    after = last.name;
  }
  return counts;
}
