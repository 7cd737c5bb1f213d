import { z } from "zod";
import { invalid, messageOf, StorageError } from "../errors/storage-error.js";
import { nearest } from "../model/nearest.js";
import { exactKind, KINDS, type KindInfo } from "./kinds.js";
import type { AnyObject, Kind, ObjectOf } from "./objects.js";
import { type RawDocument, showPlace } from "./read-manifests.js";
import { claimSpec } from "./schema-claim.js";
import {
  accessModes,
  annotations,
  flag,
  label,
  labels,
  name,
  oneOf,
  parameters,
  quantity,
  requiredString,
  strict,
  string,
} from "./schema-field.js";
import { podSpec } from "./schema-pod.js";

// What kubectl get -o yaml adds. Finalizers and the deletion mark are the provisioner's to set, never a manifest's.
const META_IGNORED = `uid resourceVersion generation creationTimestamp managedFields selfLink ownerReferences finalizers
  deletionTimestamp deletionGracePeriodSeconds generateName`.split(/\s+/);

const metadata = strict(
  {
    name,
    namespace: label.default(""),
    labels: labels.default(() => ({})),
    annotations: annotations.default(() => ({})),
  },
  META_IGNORED,
);

const list = z.array(string, { error: "must be a list of texts" }).default(() => []);
const strings = parameters.default(() => ({}));
const reclaim = oneOf("Delete", "Retain");
const topology = strict({
  matchLabelExpressions: z
    .array(strict({ key: requiredString, values: z.array(requiredString).min(1) }))
    .default(() => []),
});
const groupSelector = strict({ matchLabels: labels.default(() => ({})) }, [], {
  matchExpressions: "only matchLabels is supported",
});

function fields<S extends z.core.$ZodLooseShape>(shape: S) {
  return strict({ apiVersion: z.string(), kind: z.string(), metadata, ...shape }, ["status"]);
}

const snapshotSource = strict({ persistentVolumeClaimName: name }, [], {
  volumeSnapshotContentName: "a snapshot that exists already cannot be imported; use persistentVolumeClaimName",
});

const claimRef = strict(
  {
    kind: z.literal("PersistentVolumeClaim").default("PersistentVolumeClaim"),
    namespace: label.default("default"),
    name,
    uid: string.default(""),
  },
  ["apiVersion", "resourceVersion", "fieldPath"],
);

// core/v1, NodeSelectorRequirement: which operators have values.
const VALUES = { In: "many", NotIn: "many", Exists: "none", DoesNotExist: "none", Gt: "one", Lt: "one" } as const;

const nodeExpression = strict({
  key: requiredString,
  operator: oneOf("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
  values: list,
}).superRefine(({ operator, values }, context) => {
  const fault = {
    many: values.length === 0 ? `${operator} needs at least one value` : undefined,
    none: values.length > 0 ? `${operator} takes no values` : undefined,
    one: values.length === 1 && /^-?\d+$/.test(values[0] ?? "") ? undefined : `${operator} takes one whole number`,
  }[VALUES[operator]];
  if (fault) context.addIssue({ code: "custom", path: ["values"], message: fault });
});

const nodeAffinity = strict({
  required: strict({
    nodeSelectorTerms: z
      .array(
        strict({ matchExpressions: z.array(nodeExpression, { error: "must be a list" }).default(() => []) }, [], {
          matchFields: "only matchExpressions is supported; kubernetes.io/hostname is the node's name",
        }),
        { error: "must be a list" },
      )
      .min(1, "must hold at least one term"),
  }),
});

const persistentVolume = strict(
  {
    capacity: strict({ storage: quantity }),
    accessModes,
    volumeMode: oneOf("Filesystem", "Block").default("Filesystem"),
    // Kubernetes keeps a volume that a person made by hand.
    persistentVolumeReclaimPolicy: reclaim.default("Retain"),
    storageClassName: string.default(""),
    mountOptions: list,
    volumeAttributesClassName: name.exactOptional(),
    nodeAffinity: nodeAffinity.exactOptional(),
    claimRef: claimRef.exactOptional(),
    csi: strict(
      {
        driver: name,
        volumeHandle: requiredString,
        fsType: string.default(""),
        readOnly: flag.default(false),
        volumeAttributes: strings,
      },
      "controllerExpandSecretRef controllerPublishSecretRef nodeExpandSecretRef nodePublishSecretRef nodeStageSecretRef".split(
        " ",
      ),
    ),
  },
  [],
);

const snapshotClass = fields({ driver: name, deletionPolicy: reclaim, parameters: strings });

const SCHEMAS = {
  StorageClass: fields({
    provisioner: requiredString,
    parameters: strings,
    mountOptions: list,
    reclaimPolicy: reclaim.default("Delete"),
    volumeBindingMode: oneOf("Immediate", "WaitForFirstConsumer").default("Immediate"),
    allowVolumeExpansion: flag.default(false),
    allowedTopologies: z.array(topology, { error: "must be a list" }).default(() => []),
  }),
  VolumeAttributesClass: fields({
    driverName: name,
    parameters: parameters.refine((map) => Object.keys(map).length > 0, "must hold at least one parameter"),
  }),
  VolumeSnapshotClass: snapshotClass,
  VolumeGroupSnapshotClass: snapshotClass,
  PersistentVolume: fields({ spec: persistentVolume }),
  PersistentVolumeClaim: fields({ spec: claimSpec }),
  VolumeSnapshot: fields({ spec: strict({ volumeSnapshotClassName: name.exactOptional(), source: snapshotSource }) }),
  VolumeGroupSnapshot: fields({
    spec: strict({
      volumeGroupSnapshotClassName: name.exactOptional(),
      source: strict({ selector: groupSelector }, [], {
        volumeGroupSnapshotContentName: "a group that exists already cannot be imported; use selector",
      }),
    }),
  }),
  Pod: fields({ spec: podSpec }),
} satisfies Partial<Record<Kind, z.ZodType>>;

const EMPTY_STATUS: { [K in Kind]?: () => unknown } = {
  PersistentVolumeClaim: (): ObjectOf["PersistentVolumeClaim"]["status"] => ({
    phase: "Pending",
    accessModes: [],
    conditions: [],
  }),
  PersistentVolume: (): ObjectOf["PersistentVolume"]["status"] => ({ phase: "Available", conditions: [] }),
  VolumeSnapshot: (): ObjectOf["VolumeSnapshot"]["status"] => ({ readyToUse: false, conditions: [] }),
  VolumeGroupSnapshot: (): ObjectOf["VolumeGroupSnapshot"]["status"] => ({
    readyToUse: false,
    members: [],
    conditions: [],
  }),
  Pod: (): ObjectOf["Pod"]["status"] => ({ phase: "Pending", volumes: [], mounts: [], devices: [], conditions: [] }),
};

type Plain = Record<string, unknown>;
const isPlain = (value: unknown): value is Plain =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * The objects of one document, a `List`'s items included, checked as Kubernetes' API server would and with its defaults.
 * Their uid and creationTimestamp are empty: they get them when they are stored.
 *
 * @throws StorageError invalid-argument naming file, document and field; every fault of the document, a line each
 */
export function parseObjects(document: RawDocument, namespace: string): AnyObject[] {
  const where = showPlace(document.place);
  if (isPlain(document.value) && document.value.kind === "List") {
    const { items } = document.value;
    if (document.value.apiVersion !== "v1") throw invalid(`${where}: apiVersion: a List is of v1`);
    if (!Array.isArray(items)) throw invalid(`${where}: items: must be a list`);
    return items.map((item, index) => parseObject(item, `${where}: items[${index}]`, namespace));
  }
  return [parseObject(document.value, where, namespace)];
}

const MAX_FAULTS = 20;

/** All documents' objects. @throws StorageError with the faults of all of them, so that one run shows what to repair */
export function parseAllObjects(documents: readonly RawDocument[], namespace: string): AnyObject[] {
  const faults: string[] = [];
  const objects: AnyObject[] = [];
  for (const document of documents) {
    try {
      objects.push(...parseObjects(document, namespace));
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      faults.push(...messageOf(error).split("\n"));
    }
  }
  if (faults.length === 0) return objects;
  const more = faults.length > MAX_FAULTS ? [`and ${faults.length - MAX_FAULTS} more`] : [];
  throw invalid([...faults.slice(0, MAX_FAULTS), ...more].join("\n"));
}

function parseObject(value: unknown, where: string, namespace: string): AnyObject {
  if (!isPlain(value)) throw invalid(`${where}: must be an object with apiVersion, kind and metadata`);
  const info = kindOf(value, where);
  const meta = value.metadata;
  const called = isPlain(meta) && typeof meta.name === "string" ? ` ${meta.name.slice(0, 64)}` : "";
  if (isPlain(meta) && meta.name === undefined && meta.generateName !== undefined)
    throw invalid(`${where}: ${info.kind}: metadata.generateName: apply needs a fixed name; use metadata.name`);
  const parsed = SCHEMAS[info.kind as keyof typeof SCHEMAS].safeParse(value, { reportInput: true });
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${where}: ${info.kind}${called}: ${showIssue(issue)}`);
    throw invalid([...new Set(faults)].slice(0, MAX_FAULTS).join("\n"));
  }
  const read = parsed.data;
  if (!info.namespaced && read.metadata.namespace !== "" && read.metadata.namespace !== "default")
    throw invalid(`${where}: ${info.kind}${called}: metadata.namespace: a ${info.kind} is in no namespace`);
  const complete = {
    ...read,
    apiVersion: info.apiVersion,
    metadata: {
      ...read.metadata,
      namespace: info.namespaced ? read.metadata.namespace || namespace : "",
      uid: "",
      creationTimestamp: "",
      finalizers: [],
    },
    ...(EMPTY_STATUS[info.kind] ? { status: EMPTY_STATUS[info.kind]?.() } : {}),
  };
  return complete as AnyObject;
}

function kindOf(value: Plain, where: string): KindInfo {
  const known = KINDS.filter((info) => info.appliable).map((info) => info.kind);
  const { kind, apiVersion } = value;
  if (typeof kind !== "string" || kind === "") throw invalid(`${where}: kind: must be one of ${known.join(", ")}`);
  const info = exactKind(kind);
  if (!info?.appliable) {
    throw invalid(
      `${where}: kind: ${JSON.stringify(kind.slice(0, 100))} is not a kind that granary keeps (nearest: ${nearest(kind, known)}); known: ${known.join(", ")}`,
    );
  }
  if (typeof apiVersion !== "string" || !info.accepted.includes(apiVersion))
    throw invalid(`${where}: ${kind}: apiVersion: must be ${info.accepted.join(" or ")}`);
  return info;
}

function showIssue(issue: z.core.$ZodIssue): string {
  let path = "";
  for (const part of issue.path)
    path += typeof part === "number" ? `[${part}]` : `${path === "" ? "" : "."}${String(part)}`;
  const missing = issue.code === "invalid_type" && issue.input === undefined;
  return `${path === "" ? "" : `${path}: `}${missing ? "is missing" : issue.message}`;
}
