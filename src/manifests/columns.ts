import { parseSize } from "../model/size.js";
import { isDefaultClass } from "./default-class.js";
import type { AnyObject, K8sAccessMode, Kind, ObjectOf } from "./objects.js";
import { quantityOf } from "./quantity.js";

export interface Column<T> {
  title: string;
  /** Shown with -o wide only. */
  wide?: boolean;
  cell: (object: T) => string;
}

const UNSET = "<unset>";
const MODE = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
} satisfies Record<K8sAccessMode, string>;

export const showModes = (modes: readonly K8sAccessMode[]) => modes.map((mode) => MODE[mode]).join(",");

/** Time since, in kubectl's short form: 5s, 3m20s, 12m, 5h, 4d. */
export function showAge(timestamp: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(timestamp)) / 1000));
  if (Number.isNaN(seconds)) return "<unknown>";
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const pair = (large: number, small: number, units: string) =>
    `${large}${units[0]}${small > 0 ? `${small}${units[1]}` : ""}`;
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return pair(minutes, seconds % 60, "ms");
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return pair(hours, minutes % 60, "hm");
  if (hours < 48) return `${hours}h`;
  if (days < 8) return pair(days, hours % 24, "dh");
  if (days < 365 * 2) return `${days}d`;
  return pair(Math.floor(days / 365), days % 365, "yd");
}

/** A phase, or that it is going away. */
export const showPhase = (object: AnyObject, phase: string) =>
  object.metadata.deletionTimestamp === undefined ? phase : "Terminating";

const age = { title: "AGE", cell: (object: AnyObject) => showAge(object.metadata.creationTimestamp) };

const nameWithDefault: Column<ObjectOf["StorageClass" | "VolumeSnapshotClass" | "VolumeGroupSnapshotClass"]> = {
  title: "NAME",
  cell: (object) => `${object.metadata.name}${isDefaultClass(object) ? " (default)" : ""}`,
};

const name: Column<AnyObject> = { title: "NAME", cell: (object) => object.metadata.name };

const snapshotClass: Column<ObjectOf["VolumeSnapshotClass" | "VolumeGroupSnapshotClass"]>[] = [
  nameWithDefault,
  { title: "DRIVER", cell: (c) => c.driver },
  { title: "DELETIONPOLICY", cell: (c) => c.deletionPolicy },
  age,
];

const COLUMNS: { [K in Kind]: Column<ObjectOf[K]>[] } = {
  StorageClass: [
    nameWithDefault,
    { title: "PROVISIONER", cell: (c) => c.provisioner },
    { title: "RECLAIMPOLICY", cell: (c) => c.reclaimPolicy },
    { title: "VOLUMEBINDINGMODE", cell: (c) => c.volumeBindingMode },
    { title: "ALLOWVOLUMEEXPANSION", cell: (c) => String(c.allowVolumeExpansion) },
    age,
  ],
  PersistentVolumeClaim: [
    name,
    { title: "STATUS", cell: (c) => showPhase(c, c.status.phase) },
    { title: "VOLUME", cell: (c) => c.spec.volumeName ?? "" },
    { title: "CAPACITY", cell: (c) => showQuantity(c.status.capacity?.storage) },
    { title: "ACCESS MODES", cell: (c) => showModes(c.status.accessModes) },
    { title: "STORAGECLASS", cell: (c) => c.spec.storageClassName ?? "" },
    {
      title: "VOLUMEATTRIBUTESCLASS",
      cell: (c) => c.status.currentVolumeAttributesClassName ?? c.spec.volumeAttributesClassName ?? UNSET,
    },
    age,
    { title: "VOLUMEMODE", wide: true, cell: (c) => c.spec.volumeMode },
  ],
  PersistentVolume: [
    name,
    { title: "CAPACITY", cell: (v) => showQuantity(v.spec.capacity.storage) },
    { title: "ACCESS MODES", cell: (v) => showModes(v.spec.accessModes) },
    { title: "RECLAIM POLICY", cell: (v) => v.spec.persistentVolumeReclaimPolicy },
    { title: "STATUS", cell: (v) => showPhase(v, v.status.phase) },
    { title: "CLAIM", cell: ({ spec: { claimRef } }) => (claimRef ? `${claimRef.namespace}/${claimRef.name}` : "") },
    { title: "STORAGECLASS", cell: (v) => v.spec.storageClassName },
    { title: "VOLUMEATTRIBUTESCLASS", cell: (v) => v.spec.volumeAttributesClassName ?? UNSET },
    age,
    { title: "VOLUMEMODE", wide: true, cell: (v) => v.spec.volumeMode },
    { title: "VOLUMEHANDLE", wide: true, cell: (v) => v.spec.csi.volumeHandle },
  ],
  VolumeAttributesClass: [name, { title: "DRIVERNAME", cell: (c) => c.driverName }, age],
  VolumeSnapshotClass: snapshotClass,
  VolumeGroupSnapshotClass: snapshotClass,
  VolumeSnapshot: [
    name,
    { title: "READYTOUSE", cell: (s) => String(s.status.readyToUse) },
    { title: "SOURCEPVC", cell: (s) => s.spec.source.persistentVolumeClaimName },
    { title: "RESTORESIZE", cell: (s) => showQuantity(s.status.restoreSize) },
    { title: "SNAPSHOTCLASS", cell: (s) => s.spec.volumeSnapshotClassName ?? "" },
    { title: "CREATIONTIME", cell: ({ status }) => (status.creationTime ? showAge(status.creationTime) : "") },
    age,
    { title: "SNAPSHOTHANDLE", wide: true, cell: (s) => s.status.snapshotHandle ?? "" },
  ],
  VolumeGroupSnapshot: [
    name,
    { title: "READYTOUSE", cell: (s) => String(s.status.readyToUse) },
    { title: "VOLUMEGROUPSNAPSHOTCLASS", cell: (s) => s.spec.volumeGroupSnapshotClassName ?? "" },
    { title: "MEMBERS", cell: (s) => String(s.status.members.length) },
    { title: "CREATIONTIME", cell: ({ status }) => (status.creationTime ? showAge(status.creationTime) : "") },
    age,
    { title: "GROUPSNAPSHOTHANDLE", wide: true, cell: (s) => s.status.groupSnapshotHandle ?? "" },
  ],
  Pod: [
    name,
    { title: "READY", cell: (p) => String(p.status.phase === "Running") },
    { title: "STATUS", cell: (p) => showPhase(p, p.status.phase) },
    { title: "VOLUMES", cell: (p) => `${p.status.volumes.length}/${p.spec.volumes.filter((v) => !v.other).length}` },
    age,
    { title: "NODE", wide: true, cell: (p) => p.status.nodeName ?? "<none>" },
  ],
  VolumeAttachment: [
    name,
    { title: "ATTACHER", cell: (a) => a.spec.attacher },
    { title: "PV", cell: (a) => a.spec.source.persistentVolumeName },
    { title: "NODE", cell: (a) => a.spec.nodeName },
    { title: "ATTACHED", cell: (a) => String(a.status.attached) },
    age,
  ],
};

/** The columns that kubectl prints for the kind, and their cells for each object. */
export function tableOf<K extends Kind>(
  kind: K,
  objects: readonly ObjectOf[K][],
  options: { wide: boolean; namespaces: boolean },
): { titles: string[]; rows: string[][] } {
  const columns: Column<ObjectOf[K]>[] = COLUMNS[kind].filter((column) => options.wide || !column.wide);
  const namespace: Column<AnyObject> = { title: "NAMESPACE", cell: (object) => object.metadata.namespace };
  const all: Column<ObjectOf[K]>[] = options.namespaces ? [namespace, ...columns] : columns;
  return {
    titles: all.map((column) => column.title),
    rows: objects.map((object) => all.map((column) => column.cell(object))),
  };
}

/** A quantity in the largest binary unit that keeps it whole: 1073741824 is 1Gi. */
export function showQuantity(quantity: string | undefined): string {
  if (quantity === undefined || !/^\d+$/.test(quantity)) return quantity ?? "";
  return quantityOf(parseSize("capacity", quantity));
}
