import { invalid } from "../errors/storage-error.js";
import { nearest } from "../model/nearest.js";
import type { AnyObject, Kind } from "./objects.js";

export interface KindInfo {
  kind: Kind;
  /** What is written; the other accepted ones are older versions of the same shape. */
  apiVersion: string;
  accepted: readonly string[];
  namespaced: boolean;
  plural: string;
  singular: string;
  short: readonly string[];
  /** False for what only the provisioner makes. */
  appliable: boolean;
}

const STORAGE = "storage.k8s.io/v1";
const SNAPSHOT = ["snapshot.storage.k8s.io/v1", "snapshot.storage.k8s.io/v1beta1"];
const GROUP_SNAPSHOT = ["v1beta2", "v1beta1", "v1alpha1", "v1"].map((v) => `groupsnapshot.storage.k8s.io/${v}`);
const ATTRIBUTES = ["v1", "v1beta1", "v1alpha1"].map((v) => `storage.k8s.io/${v}`);

function row(kind: Kind, accepted: readonly string[], namespaced: boolean, short: string, plural?: string): KindInfo {
  const singular = kind.toLowerCase();
  return {
    kind,
    apiVersion: accepted[0] ?? "v1",
    accepted,
    namespaced,
    plural: plural ?? `${singular}s`,
    singular,
    short: short.split(" ").filter((word) => word !== ""),
    appliable: kind !== "VolumeAttachment",
  };
}

/** Every kind that is kept, in the order in which one needs the other: classes, then what is made from them. */
export const KINDS: readonly KindInfo[] = [
  row("StorageClass", [STORAGE], false, "sc", "storageclasses"),
  row("VolumeAttributesClass", ATTRIBUTES, false, "vac", "volumeattributesclasses"),
  row("VolumeSnapshotClass", SNAPSHOT, false, "vsclass vsclasses", "volumesnapshotclasses"),
  row("VolumeGroupSnapshotClass", GROUP_SNAPSHOT, false, "vgsclass vgsclasses", "volumegroupsnapshotclasses"),
  row("PersistentVolume", ["v1"], false, "pv"),
  row("PersistentVolumeClaim", ["v1"], true, "pvc"),
  row("VolumeSnapshot", SNAPSHOT, true, "vs"),
  row("VolumeGroupSnapshot", GROUP_SNAPSHOT, true, "vgs"),
  row("Pod", ["v1"], true, "po"),
  row("VolumeAttachment", [STORAGE], false, "va"),
];

const byKind = new Map(KINDS.map((info) => [info.kind as string, info]));

export function kindInfo(kind: Kind): KindInfo {
  const info = byKind.get(kind);
  if (!info) throw new Error(`no kind ${kind}`);
  return info;
}

/** The kind that a document's `kind` field names, in its exact spelling, or undefined. */
export const exactKind = (kind: string): KindInfo | undefined => byKind.get(kind);

export function groupOf(info: KindInfo): string {
  const slash = info.apiVersion.indexOf("/");
  return slash < 0 ? "" : info.apiVersion.slice(0, slash);
}

/**
 * The kind that a user means by `pvc`, `PersistentVolumeClaims` or `volumesnapshots.snapshot.storage.k8s.io`, also with
 * a version between the two (`volumesnapshots.v1.snapshot.storage.k8s.io`).
 *
 * @throws StorageError invalid-argument naming the nearest known one
 */
export function findKind(word: string): KindInfo {
  const lower = word.toLowerCase();
  const dot = lower.indexOf(".");
  const name = dot < 0 ? lower : lower.slice(0, dot);
  const group = dot < 0 ? undefined : lower.slice(dot + 1).replace(/^v\d+((alpha|beta)\d+)?\.?/, "");
  const info = KINDS.find(
    (candidate) => candidate.plural === name || candidate.singular === name || candidate.short.includes(name),
  );
  if (info && (group === undefined || group === groupOf(info))) return info;
  if (info) throw invalid(`${JSON.stringify(word)}: ${info.plural} are of the group ${groupOf(info) || '"" (core)'}`);
  const known = KINDS.flatMap((candidate) => [candidate.plural, candidate.singular, ...candidate.short]);
  throw invalid(
    `there is no kind ${JSON.stringify(word.slice(0, 100))}; did you mean ${JSON.stringify(nearest(name, known))}? Known: ${KINDS.map((k) => [k.plural, ...k.short.slice(0, 1)].join("|")).join(", ")}`,
  );
}

/** `KIND NAME ...`, `KIND/NAME ...` or `KIND1,KIND2`, as kubectl reads its arguments. No name means all of the kind. */
export function parseTargets(words: readonly string[]): { info: KindInfo; name?: string }[] {
  const [first, ...rest] = words;
  if (first === undefined) throw invalid("say of what kind, for example: pvc, or pvc/data");
  if (first.includes("/")) {
    return words.map((word) => {
      const [kind = "", name = "", ...more] = word.split("/");
      if (kind === "" || name === "" || more.length > 0)
        throw invalid(`${JSON.stringify(word)} is not KIND/NAME; one form for all arguments`);
      return { info: findKind(kind), name };
    });
  }
  const infos = first.split(",").map(findKind);
  if (rest.length === 0) return infos.map((info) => ({ info }));
  const wrong = rest.find((word) => word.includes("/"));
  if (wrong !== undefined) throw invalid(`${JSON.stringify(wrong)}: after a KIND only names follow`);
  return infos.flatMap((info) => rest.map((name) => ({ info, name })));
}

/** `persistentvolumeclaim`, or with its group `volumesnapshot.snapshot.storage.k8s.io`: how kubectl calls a kind in messages. */
export function resourceName(kind: Kind): string {
  const info = kindInfo(kind);
  const group = groupOf(info);
  return group === "" ? info.singular : `${info.singular}.${group}`;
}

/** `persistentvolumeclaim/data`. */
export const qualifiedName = (object: AnyObject): string => `${resourceName(object.kind)}/${object.metadata.name}`;
