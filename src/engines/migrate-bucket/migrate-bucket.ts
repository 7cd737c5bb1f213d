import { StorageError } from "../../errors/storage-error.js";
import type { VersionSummary } from "../../model/object.js";
import type { ObjectEngine } from "../object-engine.js";
import type { Context } from "../types.js";
import { eachAtOnce } from "./at-once.js";
import { verifyVersion } from "./attributes.js";
import { type Copying, copyVersion } from "./copy-version.js";
import { difference, type Stage, stageNames } from "./difference.js";
import { type KeyPair, keysOf, pairsOf } from "./key-walk.js";
import { existing, finishTarget, makeTarget, setStage } from "./target-bucket.js";

/**
 * Copies a bucket from one engine to another while it is read, and written, in the first. What must be done is found by
 * comparing the two buckets' listings, each time anew: there is no other record of how far it came, so it may be killed at
 * any point and begun again. It ends once a whole pass finds the two equal.
 *
 * Versions and delete markers keep their order, which is what S3 promises of them; their ids and times are the target's.
 * Unfinished uploads stay behind.
 */
export interface BucketMigration {
  from: ObjectEngine;
  to: ObjectEngine;
  bucket: string;
  /** Objects at once. */
  parallel: number;
  onProgress(progress: MigrationProgress): void;
}

export interface MigrationProgress {
  step: "counting" | "copying" | "verifying" | "done";
  /** Versions and delete markers that are the target's too by now; of `totalVersions` that the source had at first. */
  versions: number;
  totalVersions: number;
  /** Of bodies, copied by this run. */
  copiedBytes: number;
  totalBytes: number;
  /** Versions, copied by this run. */
  copied: number;
  /** Of the target, removed: the source has them no more. */
  removed: number;
}

/** Passes over a source that changes faster than it is copied. */
const MAX_PASSES = 20;

interface Running extends Copying {
  readonly parallel: number;
  readonly progress: MigrationProgress;
  tell(): void;
}

/**
 * @throws StorageError not-found without a bucket in the source; aborted when the source is written to faster than it can be copied;
 * damaged where a body or a copy is not what the source's record says
 */
export async function migrateBucket(ctx: Context, migration: BucketMigration): Promise<MigrationProgress> {
  const { from, to, bucket, parallel, onProgress } = migration;
  const source = await existing(ctx, from, bucket);
  const progress: MigrationProgress = {
    step: "counting",
    ...{ versions: 0, totalVersions: 0, copiedBytes: 0, totalBytes: 0, copied: 0, removed: 0 },
  };
  const tell = () => onProgress({ ...progress });
  const onBytes = (bytes: number) => {
    progress.copiedBytes += bytes;
  };
  const running: Running = { from, to, bucket, parallel, progress, tell, onBytes };
  await makeTarget(ctx, to, source);
  for (let pass = 1; pass <= MAX_PASSES; pass++) {
    const found = await compare(ctx, running);
    for (const stage of stageNames(found.stages)) {
      await setStage(ctx, to, bucket, stage);
      await copyStage(ctx, running, stage);
    }
    if (found.stages.size > 0 || found.removals) {
      if (found.stages.size === 0) await copyStage(ctx, running, "newer");
      // Whatever changed meanwhile is found by the next pass.
      continue;
    }
    if (await verify(ctx, running)) continue;
    await finishTarget(ctx, to, await existing(ctx, from, bucket));
    progress.step = "done";
    tell();
    return progress;
  }
  throw new StorageError(
    "aborted",
    `bucket ${bucket} still changes after ${MAX_PASSES} passes: let nobody write to it, and run this again; what is copied stays`,
  );
}

const pairs = (ctx: Context, { from, to, bucket }: Copying): AsyncGenerator<KeyPair> =>
  pairsOf(keysOf(ctx, from, bucket), keysOf(ctx, to, bucket));

/** Which stages there is work for, and whether the target has what the source does not. */
async function compare(ctx: Context, running: Running): Promise<{ stages: ReadonlySet<Stage>; removals: boolean }> {
  const { progress, tell } = running;
  Object.assign(progress, { step: "counting", versions: 0, totalVersions: 0, totalBytes: 0 });
  const stages = new Set<Stage>();
  let removals = false;
  for await (const { source, target } of pairs(ctx, running)) {
    const { add, remove } = difference(source, target);
    for (const { stage } of add) stages.add(stage);
    removals ||= remove.length > 0;
    progress.totalVersions += source.length;
    progress.totalBytes += source.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    progress.versions += source.length - add.length;
    tell();
  }
  return { stages, removals };
}

/** Removes what is not the source's, and writes each key's next versions that belong to the stage. */
async function copyStage(ctx: Context, running: Running, stage: Stage): Promise<void> {
  const { progress, to, bucket, tell } = running;
  progress.step = "copying";
  await eachAtOnce(pairs(ctx, running), running.parallel, async ({ key, source, target }) => {
    ctx.signal.throwIfAborted();
    const { remove, add } = difference(source, target);
    for (const { versionId } of remove) {
      await to.delete(ctx, { bucket, key, versionId, preconditions: {}, bypassGovernance: true });
      progress.removed++;
    }
    for (const { version, stage: own } of add) {
      if (own !== stage) return;
      if (!(await write(ctx, running, version))) return;
      progress.copied++;
      progress.versions++;
      tell();
    }
  });
}

/** Answers false when the source has it no more: the key is looked at again in the next pass. */
async function write(ctx: Context, running: Running, version: VersionSummary): Promise<boolean> {
  const { to, bucket } = running;
  const { key, deleteMarker } = version;
  if (deleteMarker) {
    await to.delete(ctx, { bucket, key, preconditions: {}, bypassGovernance: false });
    return true;
  }
  try {
    await copyVersion(ctx, running, version);
    return true;
  } catch (error) {
    if (error instanceof StorageError && (error.reason === "no-such-key" || error.reason === "no-such-version"))
      return false;
    throw error;
  }
}

/** Answers whether anything in the source changed since it was copied. */
async function verify(ctx: Context, running: Running): Promise<boolean> {
  const { progress, tell } = running;
  Object.assign(progress, { step: "verifying", versions: 0 });
  let changed = false;
  await eachAtOnce(pairs(ctx, running), running.parallel, async ({ source, target }) => {
    ctx.signal.throwIfAborted();
    const { remove, add } = difference(source, target);
    if (remove.length + add.length > 0) {
      changed = true;
      return;
    }
    for (const [i, version] of source.entries()) {
      changed = (await verifyVersion(ctx, running, version, target[i] as VersionSummary)) || changed;
      progress.versions++;
      tell();
    }
  });
  return changed;
}
