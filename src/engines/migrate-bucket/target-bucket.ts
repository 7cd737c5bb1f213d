import { StorageError } from "../../errors/storage-error.js";
import type { Bucket, BucketConfigKind, NewBucket, Versioning } from "../../model/bucket.js";
import type { ObjectEngine } from "../object-engine.js";
import type { Context } from "../types.js";
import type { Stage } from "./difference.js";

/** A lifecycle would expire, in the target, what was only just written there. */
const LAST: readonly BucketConfigKind[] = ["lifecycle"];

/** Makes the target's bucket as the source's is, with neither limits nor a lifecycle until all is there. */
export async function makeTarget(ctx: Context, to: ObjectEngine, source: Bucket): Promise<void> {
  if ((await to.bucket(ctx, source.name)) !== undefined) return;
  const config: NewBucket["config"] = { ...source.config };
  for (const kind of LAST) delete config[kind];
  const { name, ownerId, region, objectLock, durability } = source;
  await to.createBucket(ctx, {
    name,
    ownerId,
    region,
    objectLock,
    durability,
    quotaBytes: null,
    quotaObjects: null,
    config,
  });
}

/** Has the bucket give the ids that a stage's versions need. */
export async function setStage(ctx: Context, to: ObjectEngine, bucket: string, stage: Stage): Promise<void> {
  const { versioning } = await existing(ctx, to, bucket);
  // A bucket that never had versions stays one.
  if (stage === "null" && versioning !== "enabled") return;
  await setVersioning(ctx, to, bucket, stage === "null" ? "suspended" : "enabled");
}

async function setVersioning(ctx: Context, to: ObjectEngine, bucket: string, wanted: Versioning): Promise<void> {
  const { versioning } = await existing(ctx, to, bucket);
  if (wanted !== "off" && versioning !== wanted) await to.changeBucket(ctx, bucket, { versioning: wanted });
}

/** Everything of the bucket itself, once its objects are there: versioning, limits and every document. */
export async function finishTarget(ctx: Context, to: ObjectEngine, source: Bucket): Promise<void> {
  const { name, versioning, quotaBytes, quotaObjects, durability } = source;
  await setVersioning(ctx, to, name, versioning);
  const target = await existing(ctx, to, name);
  const gone = Object.keys(target.config).filter((kind) => !(kind in source.config));
  const config = { ...Object.fromEntries(gone.map((kind) => [kind, null])), ...source.config };
  await to.changeBucket(ctx, name, { quotaBytes, quotaObjects, durability, config });
}

export async function existing(ctx: Context, engine: ObjectEngine, name: string): Promise<Bucket> {
  const bucket = await engine.bucket(ctx, name);
  if (bucket === undefined)
    throw new StorageError("not-found", `there is no bucket ${name}`, { reason: "no-such-bucket" });
  return bucket;
}
