import { setTimeout } from "node:timers/promises";
import { Command } from "commander";
import { invalid } from "../errors/storage-error.js";
import { tableOf } from "../manifests/columns.js";
import { type KindInfo, parseTargets, qualifiedName, resourceName } from "../manifests/kinds.js";
import { openObjectStore } from "../manifests/object-store.js";
import type { AnyObject } from "../manifests/objects.js";
import { printObjects } from "../manifests/output.js";
import { missing } from "./delete.js";
import { addObjectFlags, clientConfig, interruptSignal, type ObjectFlags, parseSelector } from "./object-flags.js";
import { columnWidths, printTable, renderRows } from "./table.js";

const FORMATS = ["table", "wide", "json", "yaml", "name"] as const;
type Format = (typeof FORMATS)[number];

interface GetFlags extends ObjectFlags {
  allNamespaces?: boolean;
  output: string;
  watch?: boolean;
  ignoreNotFound?: boolean;
}

interface Group {
  info: KindInfo;
  objects: AnyObject[];
}

/** `granary get KIND [NAME ...]`. Needs no server: the objects are in the data dir. */
export function getCommand(): Command {
  const command = new Command("get")
    .description("list objects: pvc, pv, sc, vs, vgs, vac, pod ...")
    .argument("<kind-and-names...>", "KIND, KIND NAME ..., KIND/NAME ..., or KIND,KIND")
    .option("-A, --all-namespaces", "of all namespaces")
    .option("-o, --output <format>", FORMATS.join(", "), "table")
    .option("-w, --watch", "go on printing what changes, until Ctrl-C")
    .option("--ignore-not-found", "an object that is not there is no error");
  return addObjectFlags(command).action(get);
}

async function get(words: string[], flags: GetFlags): Promise<void> {
  const format = FORMATS.find((known) => known === flags.output);
  if (!format) throw invalid(`--output: ${JSON.stringify(flags.output)} is none of ${FORMATS.join(", ")}`);
  const { dataDir } = clientConfig(flags);
  const groups = await find(dataDir, words, flags);
  process.stdout.write(render(groups, words, format, flags));
  const count = groups.reduce((sum, { objects }) => sum + objects.length, 0);
  if (count === 0 && (format === "table" || format === "wide") && process.exitCode !== 1)
    process.stderr.write(nothingFound(groups, flags));
  if (flags.watch) await watch(dataDir, words, format, flags, groups);
}

function nothingFound(groups: readonly Group[], flags: GetFlags): string {
  const scoped = groups.some(({ info }) => info.namespaced) && !flags.allNamespaces;
  return `No resources found${scoped ? ` in ${flags.namespace} namespace` : ""}.\n`;
}

async function find(dataDir: string, words: string[], flags: GetFlags): Promise<Group[]> {
  const store = await openObjectStore(dataDir, { lock: false });
  const selects = parseSelector(flags.selector);
  const groups: Group[] = [];
  for (const { info, name } of parseTargets(words)) {
    const namespace = info.namespaced ? flags.namespace : "";
    let group = groups.find((known) => known.info === info);
    if (!group) {
      group = { info, objects: [] };
      groups.push(group);
    }
    if (name !== undefined) {
      if (flags.allNamespaces) throw invalid("a name cannot be used together with --all-namespaces");
      const object = store.get(info.kind, namespace, name);
      if (object) group.objects.push(object);
      else if (!flags.ignoreNotFound && !flags.watch) {
        process.stderr.write(`granary: ${missing({ kind: info.kind, name }).message}\n`);
        process.exitCode = 1;
      }
      continue;
    }
    const all: AnyObject[] = store.list(info.kind);
    group.objects.push(
      ...all.filter(({ metadata }) => (flags.allNamespaces || metadata.namespace === namespace) && selects(metadata)),
    );
  }
  return groups;
}

function render(groups: readonly Group[], words: readonly string[], format: Format, flags: GetFlags): string {
  const objects = groups.flatMap((group) => group.objects);
  if (format === "json" || format === "yaml") {
    const single = parseTargets(words).length === 1 && parseTargets(words)[0]?.name !== undefined;
    return single && objects.length === 0 ? "" : printObjects(objects, format, single);
  }
  if (format === "name") return objects.map((object) => `${qualifiedName(object)}\n`).join("");
  return groups
    .filter((group) => group.objects.length > 0)
    .map((group) => {
      const { titles, rows } = tableFor(group, format, flags, groups.length > 1);
      return printTable(titles, rows);
    })
    .join("\n");
}

function tableFor({ info, objects }: Group, format: Format, flags: GetFlags, prefixed: boolean) {
  const namespaces = (flags.allNamespaces ?? false) && info.namespaced;
  const table = tableOf(info.kind, objects as never[], { wide: format === "wide", namespaces });
  const at = namespaces ? 1 : 0;
  if (prefixed) for (const row of table.rows) row[at] = `${resourceName(info.kind)}/${row[at]}`;
  return table;
}

const POLL_MS = 500;

/** Prints what is new, changed or gone, a row each, with the widths of the first table as long as they suffice. */
async function watch(dataDir: string, words: string[], format: Format, flags: GetFlags, first: Group[]): Promise<void> {
  const signal = interruptSignal();
  let known = snapshot(first);
  let widths: number[] = [];
  for (;;) {
    await setTimeout(POLL_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const groups = await find(dataDir, words, flags);
    const now = snapshot(groups);
    for (const group of groups) {
      const fresh = group.objects.filter(
        (object) => known.get(object.metadata.uid)?.text !== now.get(object.metadata.uid)?.text,
      );
      const gone = [...known.values()].filter(
        ({ object }) => object.kind === group.info.kind && !now.has(object.metadata.uid),
      );
      const changed = [...fresh, ...gone.map(({ object }) => object)];
      if (changed.length === 0) continue;
      if (format !== "table" && format !== "wide") {
        process.stdout.write(render([{ ...group, objects: changed }], words, format, flags));
        continue;
      }
      const { titles, rows } = tableFor({ ...group, objects: changed }, format, flags, groups.length > 1);
      widths = columnWidths([widths.map((width) => " ".repeat(width)), titles, ...rows]);
      process.stdout.write(renderRows(known.size === 0 ? [titles, ...rows] : rows, widths));
    }
    known = now;
  }
}

function snapshot(groups: readonly Group[]): Map<string, { object: AnyObject; text: string }> {
  const objects = groups.flatMap((group) => group.objects);
  return new Map(objects.map((object) => [object.metadata.uid, { object, text: JSON.stringify(object) }]));
}
