import { Command } from "commander";
import { invalid, notFound } from "../errors/storage-error.js";
import { groupOf, kindInfo, parseTargets, qualifiedName, resourceName } from "../manifests/kinds.js";
import { markDeleted } from "../manifests/merge.js";
import { openObjectStore } from "../manifests/object-store.js";
import type { AnyObject, Kind, ObjectStore } from "../manifests/objects.js";
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

interface DeleteFlags extends ObjectFlags, WaitFlags {
  filename?: string[];
  recursive?: boolean;
  all?: boolean;
  ignoreNotFound?: boolean;
}

interface Target {
  kind: Kind;
  namespace: string;
  name: string;
}

/** `granary delete -f ... | KIND NAME ...`. */
export function deleteCommand(): Command {
  const command = new Command("delete")
    .description("delete objects, and with them their volumes and snapshots as their class's policy says")
    .argument("[kind-and-names...]", "KIND NAME ..., or KIND/NAME ...")
    .option("-f, --filename <path>", "delete the objects of a file, a folder, or - for stdin; may be repeated", collect)
    .option("-R, --recursive", "folders with their subfolders")
    .option("--all", "every object of the kind in the namespace")
    .option("--ignore-not-found", "an object that is not there is no error");
  return addServerFlags(addObjectFlags(command)).action(remove);
}

async function remove(words: string[], flags: DeleteFlags): Promise<void> {
  const config = clientConfig(flags);
  const timeoutMs = parseDurationMs("--timeout", flags.timeout);
  const find = await finder(words, flags);
  const csi = await connect(config, flags);
  const signal = interruptSignal();
  const progress = stderrProgress();
  const store = await openObjectStore(config.dataDir, { lock: true, timeoutMs, onWait: progress.show, signal });
  try {
    const objects: AnyObject[] = [];
    for (const target of find(store)) {
      const object = store.get(target.kind, target.namespace, target.name);
      if (object && objects.includes(object)) continue;
      if (object) objects.push(object);
      else if (!flags.ignoreNotFound) fail(missing(target).message);
    }
    for (const object of objects) await markDeleted(store, object);
    const options = { dataDir: config.dataDir, timeoutMs: flags.wait ? timeoutMs : 0, signal, progress: progress.show };
    const outcome = objects.length > 0 ? await reconcile(store, csi, options) : { waiting: [], failed: [] };
    progress.clear();
    for (const object of objects) explain(store, object, outcome, flags.wait);
  } finally {
    await store.close();
    csi.close();
  }
}

/** What the arguments name; read before the store is locked, so that a slow stdin holds nobody up. */
async function finder(words: string[], flags: DeleteFlags): Promise<(store: ObjectStore) => Target[]> {
  const selects = parseSelector(flags.selector);
  const byChoice = flags.all || flags.selector !== undefined;
  if (flags.filename) {
    if (words.length > 0 || flags.all) throw invalid("say what to delete either with -f or by KIND and NAME");
    const documents = await readManifests(flags.filename, {
      recursive: flags.recursive ?? false,
      stdin: process.stdin,
    });
    const objects = parseAllObjects(documents, flags.namespace).filter(({ metadata }) => selects(metadata));
    return () => objects.map(targetOf);
  }
  const targets = parseTargets(words);
  const unnamed = targets.filter((target) => target.name === undefined);
  if (unnamed.length > 0 && !byChoice)
    throw invalid(`say which ${unnamed[0]?.info.plural} by name, by --selector, or --all of them`);
  if (unnamed.length === 0 && byChoice) throw invalid("a name cannot be used together with --selector or --all");
  return (store) =>
    targets.flatMap(({ info, name }) => {
      const namespace = info.namespaced ? flags.namespace : "";
      if (name !== undefined) return [{ kind: info.kind, namespace, name }];
      const all: AnyObject[] = store.list(info.kind);
      return all.filter(({ metadata }) => metadata.namespace === namespace && selects(metadata)).map(targetOf);
    });
}

const targetOf = ({ kind, metadata }: AnyObject): Target => ({
  kind,
  namespace: metadata.namespace,
  name: metadata.name,
});

/** kubectl's words for it. */
export function missing({ kind, name }: Pick<Target, "kind" | "name">) {
  const info = kindInfo(kind);
  const group = groupOf(info);
  return notFound(`${info.plural}${group === "" ? "" : `.${group}`} ${JSON.stringify(name)} not found`);
}

function explain(store: ObjectStore, object: AnyObject, outcome: ReconcileResult, waits: boolean): void {
  const { namespace, name, uid } = object.metadata;
  const stored = store.get(object.kind, namespace, name);
  if (stored?.metadata.uid !== uid) {
    process.stdout.write(`${resourceName(object.kind)} "${name}" deleted\n`);
    return;
  }
  const told = [...outcome.failed, ...outcome.waiting].find((entry) => entry.object.metadata.uid === uid);
  const last = store.events(stored).at(-1);
  const why = told?.message ?? last?.message ?? `held by ${stored.metadata.finalizers.join(", ")}`;
  process.stderr.write(`${qualifiedName(object)} is marked for deletion and will go later: ${why}\n`);
  if (waits) process.exitCode = 1;
}

function fail(message: string): void {
  process.stderr.write(`granary: ${message}\n`);
  process.exitCode = 1;
}
