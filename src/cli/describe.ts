import { Command } from "commander";
import { showAge } from "../manifests/columns.js";
import { describeFields, type Field, pairs } from "../manifests/describe.js";
import { parseTargets } from "../manifests/kinds.js";
import { openObjectStore } from "../manifests/object-store.js";
import type { AnyObject, EventRecord, ObjectStore } from "../manifests/objects.js";
import { missing } from "./delete.js";
import { addObjectFlags, clientConfig, type ObjectFlags, parseSelector } from "./object-flags.js";
import { printTable, visible } from "./table.js";

/** `granary describe KIND [NAME ...]`. Needs no server. */
export function describeCommand(): Command {
  const command = new Command("describe")
    .description("tell all about objects, with the conditions and events that explain a wait or a refusal")
    .argument("<kind-and-names...>", "KIND NAME ..., KIND/NAME ..., or KIND for all of it");
  return addObjectFlags(command).action(describe);
}

async function describe(words: string[], flags: ObjectFlags): Promise<void> {
  const store = await openObjectStore(clientConfig(flags).dataDir, { lock: false });
  const selects = parseSelector(flags.selector);
  const found: AnyObject[] = [];
  for (const { info, name } of parseTargets(words)) {
    const namespace = info.namespaced ? flags.namespace : "";
    const all: AnyObject[] = store.list(info.kind);
    const matching = all.filter(
      ({ metadata }) => metadata.namespace === namespace && (name === undefined || metadata.name === name),
    );
    found.push(...matching.filter(({ metadata }) => selects(metadata)));
    if (matching.length > 0 || name === undefined) continue;
    process.stderr.write(`granary: ${missing({ kind: info.kind, name }).message}\n`);
    process.exitCode = 1;
  }
  process.stdout.write(found.map((object) => describeObject(object, store)).join("\n\n"));
}

/** kubectl-like sections: the object's fields, its conditions, its events. */
export function describeObject(object: AnyObject, store: ObjectStore, now = Date.now()): string {
  const { metadata } = object;
  const fields: Field[] = [
    ["Name", metadata.name],
    ...(metadata.namespace === "" ? [] : [["Namespace", metadata.namespace] satisfies Field]),
    ["Labels", pairs(metadata.labels)],
    ["Annotations", pairs(metadata.annotations)],
    ["Created", metadata.creationTimestamp],
    ...(metadata.deletionTimestamp === undefined ? [] : [["Deleted", metadata.deletionTimestamp] satisfies Field]),
    ["Finalizers", metadata.finalizers.length > 0 ? metadata.finalizers : "<none>"],
    ...describeFields(object, store),
  ];
  const width = Math.max(...fields.map(([title]) => title.length)) + 3;
  const lines = fields.flatMap(([title, value]) =>
    [value].flat().map((text, index) => `${(index === 0 ? `${title}:` : "").padEnd(width)}${visible(text)}\n`),
  );
  return `${lines.join("")}${conditions(object)}${events(store.events(object), now)}`;
}

function conditions(object: AnyObject): string {
  const list = "status" in object && "conditions" in object.status ? object.status.conditions : [];
  if (list.length === 0) return "";
  const rows = list.map((c) => [c.type, c.status, c.reason, c.lastTransitionTime, c.message]);
  return `Conditions:\n${indent(printTable(["Type", "Status", "Reason", "Since", "Message"], rows))}`;
}

function events(list: readonly EventRecord[], now: number): string {
  if (list.length === 0) return "Events:  <none>\n";
  const rows = list.map((event) => [event.type, event.reason, eventAge(event, now), event.message]);
  return `Events:\n${indent(printTable(["Type", "Reason", "Age", "Message"], rows))}`;
}

/** `5s`, or for one that came again `5s (x3 over 2m)`. */
function eventAge(event: EventRecord, now: number): string {
  const last = showAge(event.lastTimestamp, now);
  return event.count > 1 ? `${last} (x${event.count} over ${showAge(event.firstTimestamp, now)})` : last;
}

const indent = (text: string) => text.replace(/^(?=.)/gm, "  ");
