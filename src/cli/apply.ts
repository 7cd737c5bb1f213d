import { Command } from "commander";
import { messageOf, StorageError } from "../errors/storage-error.js";
import { qualifiedName } from "../manifests/kinds.js";
import { type Merged, mergeApplied } from "../manifests/merge.js";
import { openObjectStore } from "../manifests/object-store.js";
import type { AnyObject, ObjectStore } from "../manifests/objects.js";
import { readManifests } from "../manifests/read-manifests.js";
import { type ReconcileResult, reconcile } from "../manifests/reconcile.js";
import { parseAllObjects } from "../manifests/schema.js";
import { parseDurationMs } from "../model/duration.js";
import {
  addObjectFlags,
  addServerFlags,
  clientConfig,
  collect,
  connect,
  interruptSignal,
  type ObjectFlags,
  parseSelector,
  type WaitFlags,
} from "./object-flags.js";
import { stderrProgress } from "./progress.js";

interface ApplyFlags extends ObjectFlags, WaitFlags {
  filename: string[];
  recursive?: boolean;
  dryRun?: boolean;
}

const FIRST_CONSUMER = "WaitForFirstConsumer";

/** `granary apply -f ...`. */
export function applyCommand(): Command {
  const command = new Command("apply")
    .description("make the volumes, snapshots and mounts that Kubernetes manifests ask for")
    .requiredOption("-f, --filename <path>", "a file, a folder, or - for stdin; may be repeated", collect)
    .option("-R, --recursive", "folders with their subfolders")
    .option("--dry-run", "check the manifests against what is stored, change nothing");
  return addServerFlags(addObjectFlags(command)).action(apply);
}

async function apply(flags: ApplyFlags): Promise<void> {
  const config = clientConfig(flags);
  const timeoutMs = parseDurationMs("--timeout", flags.timeout);
  const documents = await readManifests(flags.filename, { recursive: flags.recursive ?? false, stdin: process.stdin });
  const selects = parseSelector(flags.selector);
  const applied = parseAllObjects(documents, flags.namespace).filter(({ metadata }) => selects(metadata));
  if (flags.dryRun) {
    const store = await openObjectStore(config.dataDir, { lock: false });
    for (const { object, result } of mergeAll(store, applied)) print(`${qualifiedName(object)} ${result} (dry run)`);
    return;
  }
  const csi = await connect(config, flags);
  const signal = interruptSignal();
  const progress = stderrProgress();
  const store = await openObjectStore(config.dataDir, { lock: true, timeoutMs, onWait: progress.show, signal });
  try {
    const merged = mergeAll(store, applied);
    for (const { object, result } of merged) {
      if (result !== "unchanged") await store.put(object);
      print(`${qualifiedName(object)} ${result}`);
    }
    const options = { dataDir: config.dataDir, timeoutMs: flags.wait ? timeoutMs : 0, signal, progress: progress.show };
    const outcome = await reconcile(store, csi, options);
    progress.clear();
    if (!report(outcome, merged, flags.wait)) process.exitCode = 1;
  } finally {
    await store.close();
    csi.close();
  }
}

/**
 * Every object's merge before any is stored. An object that comes twice is changed twice, as kubectl has it.
 *
 * @throws StorageError with all their faults
 */
function mergeAll(store: ObjectStore, applied: readonly AnyObject[]): Merged[] {
  const faults: string[] = [];
  const merged: Merged[] = [];
  const latest = new Map<string, AnyObject>();
  for (const object of applied) {
    const { namespace, name } = object.metadata;
    const key = `${object.kind}/${namespace}/${name}`;
    try {
      const next = mergeApplied(object, latest.get(key) ?? store.get(object.kind, namespace, name));
      latest.set(key, next.object);
      merged.push(next);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      faults.push(messageOf(error));
    }
  }
  if (faults.length > 0) throw new StorageError("invalid-argument", faults.join("\n"));
  return merged;
}

/** Says what is not done; true if nothing that was applied failed or waits for something that may never come. */
function report(outcome: ReconcileResult, merged: readonly Merged[], waits: boolean): boolean {
  const ours = new Set(merged.map(({ object }) => object.metadata.uid));
  const counts = { failed: 0, waiting: 0, consumer: 0 };
  const counted = new Set<string>();
  for (const [state, entries] of [
    ["failed", outcome.failed],
    ["waiting", outcome.waiting.toSorted(patientLast)],
  ] as const) {
    for (const { object, reason, message } of entries) {
      const own = ours.has(object.metadata.uid);
      const patient = state === "waiting" && reason === FIRST_CONSUMER;
      // One object may be told of by several steps; its worst state counts, and failures come first.
      if (own && !counted.has(object.metadata.uid)) counts[patient ? "consumer" : state]++;
      counted.add(object.metadata.uid);
      const note = patient ? "waits for the first pod that uses it, which is no failure" : message;
      if (own || !patient) process.stderr.write(`${qualifiedName(object)}${own ? "" : " (from before)"}: ${note}\n`);
    }
  }
  const done = ours.size - counts.failed - counts.waiting - counts.consumer;
  const parts = [`${done} of ${ours.size} objects ready`];
  if (counts.consumer > 0) parts.push(`${counts.consumer} waiting for a first consumer`);
  if (counts.waiting > 0) parts.push(`${counts.waiting} still waiting`);
  if (counts.failed > 0) parts.push(`${counts.failed} failed`);
  const trouble = counts.failed > 0 || counts.waiting > 0;
  process.stderr.write(`${parts.join(", ")}${trouble ? "; granary describe KIND NAME tells why" : ""}\n`);
  return counts.failed === 0 && (counts.waiting === 0 || !waits);
}

const patientLast = (a: { reason: string }, b: { reason: string }): number =>
  Number(a.reason === FIRST_CONSUMER) - Number(b.reason === FIRST_CONSUMER);

const print = (line: string) => void process.stdout.write(`${line}\n`);
