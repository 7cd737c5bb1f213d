import type { ObjectOf } from "./objects.js";

type ClassKind = "StorageClass" | "VolumeSnapshotClass" | "VolumeGroupSnapshotClass";

/** The annotation that makes a class what an object gets that names none. */
export const DEFAULT_CLASS_ANNOTATION = {
  StorageClass: "storageclass.kubernetes.io/is-default-class",
  VolumeSnapshotClass: "snapshot.storage.kubernetes.io/is-default-class",
  VolumeGroupSnapshotClass: "groupsnapshot.storage.kubernetes.io/is-default-class",
} as const satisfies Record<ClassKind, string>;

export const isDefaultClass = ({ kind, metadata }: ObjectOf[ClassKind]): boolean =>
  metadata.annotations[DEFAULT_CLASS_ANNOTATION[kind]] === "true";
