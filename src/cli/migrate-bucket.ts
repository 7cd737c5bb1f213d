import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { type Config, loadConfig } from "../config/config.js";
import { type MigrationProgress, migrateBucket } from "../engines/migrate-bucket/migrate-bucket.js";
import { takeOverOwner } from "../engines/migrate-bucket/owner.js";
import { existing } from "../engines/migrate-bucket/target-bucket.js";
import type { Context } from "../engines/types.js";
import { invalid, StorageError } from "../errors/storage-error.js";
import { count } from "../model/count.js";
import { showSize } from "../model/size.js";
import { readIfPresent, writeDurably } from "../os/durable-file.js";
import { openLog } from "../runtime/log.js";
import { addAdminFlags, addOutputFlag, formatOf, type OutputFlags, printAnswer } from "./admin-flags.js";
import { type OpenStore, openStore, STORES, type StoreName } from "./migrate-stores.js";
import { interruptSignal } from "./object-flags.js";
import { stderrProgress } from "./progress.js";

interface BucketFlags extends OutputFlags {
  to: StoreName;
  from: StoreName;
  toDataDir?: string;
  parallel: number;
  again?: true;
  dataDir?: string;
  config?: string;
}

const HELP = `
The bucket is served from where it was all the while. ETags, checksums, metadata, tags, ACLs, locks, the bucket's own
documents, the order of versions and delete markers, and the owner with its access keys are kept. Version ids and times of
last change are the target's, and unfinished uploads stay behind. Every body is verified by its checksums on the way, and
every copy compared with its source in the end.

Ctrl-C stops it at any time; the same command goes on where it was. What is written meanwhile is copied too: it ends once
the two are equal. Then let clients use the target, and delete the source when nobody needs it any more.

Examples:
  granary migrate bucket photos --to s3
  granary migrate bucket photos --to local --to-data-dir /mnt/new/granary`;

const wholeNumber = (text: string): number => {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError("a whole number from 1 to 999 is wanted");
  return Number(text);
};

/** `granary migrate bucket NAME --to STORE`. */
export function migrateBucketCommand(): Command {
  const command = new Command("bucket")
    .description("copy a bucket to another object store, while it is used")
    .argument("<name>", "the bucket's name, which stays")
    .addOption(
      new Option("--to <store>", "where it goes: s3 is the upstream of the config")
        .choices(STORES)
        .makeOptionMandatory(),
    )
    .addOption(new Option("--from <store>", "where it is").choices(STORES).default("local"))
    .option("--to-data-dir <dir>", "with --to local: the data dir that it goes to")
    .option("--parallel <n>", "objects at once", wholeNumber, 8)
    .option(
      "--again",
      "bring a bucket that was migrated before up to date once more: what only the target has is removed",
    )
    .addHelpText("after", HELP);
  return addAdminFlags(addOutputFlag(command)).action(migrate);
}

/** What was begun, kept beside the source: only a bucket that a migration made is ever written to. */
interface Begun {
  bucket: string;
  from: string;
  to: string;
  /** Of the source: a later bucket of that name is another one. */
  createdMs: number;
  done: boolean;
}

async function migrate(bucket: string, flags: BucketFlags): Promise<void> {
  const format = formatOf(flags);
  const config = loadConfig({ dataDir: flags.dataDir, config: flags.config });
  const targetDir = checkPlaces(config, flags);
  const log = openLog({ level: "error", role: "migrate" });
  const ctx: Context = { signal: interruptSignal(), requestId: "migrate", log };
  const open: OpenStore[] = [];
  const progress = stderrProgress();
  try {
    const from = await openStore(flags.from, config, config.dataDir, log);
    open.push(from);
    const to = await openStore(flags.to, config, targetDir, log);
    open.push(to);
    const done = await begin(ctx, {
      bucket,
      from,
      to,
      file: recordFile(config, bucket, flags),
      again: flags.again === true,
    });
    await takeOverOwner(ctx, from.identities, to.identities, (await existing(ctx, from.engine, bucket)).ownerId);
    const result = await migrateBucket(ctx, {
      ...{ from: from.engine, to: to.engine, bucket, parallel: flags.parallel },
      onProgress: (now) => progress.show(progressLine(now)),
    });
    await done();
    progress.clear();
    const { step: _step, ...figures } = result;
    printAnswer(format, { bucket, ...figures }, () => report(bucket, from, to, result));
  } finally {
    progress.clear();
    for (const store of open.reverse()) await store.close();
  }
}

/** Answers the target's data dir. */
function checkPlaces(config: Config, { from, to, toDataDir }: BucketFlags): string {
  if (toDataDir !== undefined && to !== "local") throw invalid("--to-data-dir goes with --to local");
  const dir = toDataDir === undefined ? config.dataDir : loadConfig({ dataDir: toDataDir }).dataDir;
  if (from === to && dir === config.dataDir)
    throw invalid(`--to ${to}: the bucket is there already; for another data dir, add --to-data-dir`);
  return dir;
}

const recordFile = (config: Config, bucket: string, { from, to }: BucketFlags) =>
  join(config.dataDir, "migrations", `bucket-${bucket}-${from}-${to}.json`);

/**
 * Writes down that the target's bucket is this migration's, before it is made. Answers what writes down its end.
 *
 * @throws StorageError already-exists when the target has a bucket of somebody else's; failed-precondition when it is
 * done already
 */
async function begin(
  ctx: Context,
  work: { bucket: string; from: OpenStore; to: OpenStore; file: string; again: boolean },
): Promise<() => Promise<void>> {
  const { bucket, from, to, file, again } = work;
  const { createdMs } = await existing(ctx, from.engine, bucket);
  const wanted: Begun = { bucket, from: from.title, to: to.title, createdMs, done: false };
  const text = await readIfPresent(file);
  const known = text === undefined ? undefined : (JSON.parse(text) as Begun);
  const same = known !== undefined && JSON.stringify({ ...known, done: false }) === JSON.stringify(wanted);
  if (!same && (await to.engine.bucket(ctx, bucket)) !== undefined)
    throw new StorageError(
      "already-exists",
      `${to.title} has a bucket ${bucket} that no migration from here made; delete it there, or keep what it holds elsewhere`,
    );
  if (same && known.done && !again)
    throw new StorageError(
      "failed-precondition",
      `bucket ${bucket} is migrated already; --again makes ${to.title} equal once more, and removes what was written to it since`,
    );
  if (!same) await writeDurably(file, JSON.stringify(wanted));
  return () => writeDurably(file, JSON.stringify({ ...wanted, done: true }));
}

function progressLine({ step, versions, totalVersions, copiedBytes, totalBytes }: MigrationProgress): string {
  const percent = totalVersions === 0 ? 100 : Math.floor((versions / totalVersions) * 100);
  if (step === "counting") return `counting  ${count(totalVersions, "version")}, ${showSize(BigInt(totalBytes))}`;
  return `${step}  ${percent}%  ${versions} of ${count(totalVersions, "version")}, ${showSize(BigInt(copiedBytes))} copied`;
}

function report(bucket: string, from: OpenStore, to: OpenStore, result: MigrationProgress): string {
  const { totalVersions, totalBytes, copied, copiedBytes } = result;
  const all = `${count(totalVersions, "version")}, ${showSize(BigInt(totalBytes))}`;
  return (
    `bucket ${bucket} migrated from ${from.title} to ${to.title}: ${all}, verified; ` +
    `copied now: ${count(copied, "version")}, ${showSize(BigInt(copiedBytes))}\n`
  );
}
