import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { invalid } from "../errors/storage-error.js";
import { parseSize } from "../model/size.js";
import { qualifiedName } from "./kinds.js";
import type { AnyObject, ObjectOf, ObjectStore, PersistentVolume, PersistentVolumeClaim } from "./objects.js";

export interface Merged {
  object: AnyObject;
  result: "created" | "configured" | "unchanged";
}

// Annotations that the provisioner writes: a manifest without them does not take them away.
const SYSTEM_ANNOTATION = /^(volume(\.beta)?|pv|snapshot\.storage)\.kubernetes\.io\/|^([^/]*\.)?granary\.dev\//;

/**
 * What is stored after `applied` (from a manifest) met `stored` (from the store, or undefined): the manifest's labels,
 * annotations and changeable fields, the stored object's uid, times, finalizers and status. Fields that the manifest
 * leaves out and the provisioner filled in (volumeName, a default class) stay.
 *
 * @throws StorageError invalid-argument, as Kubernetes' "field is immutable", or for a claim made smaller
 */
export function mergeApplied(applied: AnyObject, stored: AnyObject | undefined, now = new Date()): Merged {
  if (!stored) {
    const metadata = { ...applied.metadata, uid: randomUUID(), creationTimestamp: now.toISOString() };
    return { object: { ...applied, metadata }, result: "created" };
  }
  const kept = Object.entries(stored.metadata.annotations).filter(([key]) => SYSTEM_ANNOTATION.test(key));
  const metadata = {
    ...stored.metadata,
    labels: applied.metadata.labels,
    annotations: { ...Object.fromEntries(kept), ...applied.metadata.annotations },
  };
  const object = { ...mergeFields(applied, stored), metadata } as AnyObject;
  return { object, result: isDeepStrictEqual(plain(object), plain(stored)) ? "unchanged" : "configured" };
}

// A key that is undefined and one that is missing are the same once written.
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function mergeFields(applied: AnyObject, stored: AnyObject): AnyObject {
  switch (applied.kind) {
    case "StorageClass":
      keepSame(applied, stored, ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"]);
      return applied;
    case "VolumeAttributesClass":
      keepSame(applied, stored, ["driverName", "parameters"]);
      return applied;
    case "VolumeSnapshotClass":
    case "VolumeGroupSnapshotClass":
      return applied;
    case "PersistentVolumeClaim":
      return mergeClaim(applied, stored as PersistentVolumeClaim);
    case "PersistentVolume":
      return mergeVolume(applied, stored as PersistentVolume);
    case "VolumeSnapshot": {
      const { spec, status } = stored as ObjectOf["VolumeSnapshot"];
      keepSame(applied.spec, spec, ["source"], applied);
      return { ...applied, spec: { ...spec, ...applied.spec }, status };
    }
    case "VolumeGroupSnapshot": {
      const { spec, status } = stored as ObjectOf["VolumeGroupSnapshot"];
      keepSame(applied.spec, spec, ["source"], applied);
      return { ...applied, spec: { ...spec, ...applied.spec }, status };
    }
    case "Pod": {
      const { spec, status } = stored as ObjectOf["Pod"];
      keepSame(applied.spec, spec, [...new Set([...Object.keys(spec), ...Object.keys(applied.spec)])], applied);
      return { ...applied, status };
    }
    case "VolumeAttachment":
      throw invalid(`${qualifiedName(applied)}: is made by the provisioner, not applied`);
  }
}

/** @throws unless the fields are as they are stored; `owner` is whose spec it is, for the message */
function keepSame(applied: object, stored: object, fields: readonly string[], owner?: AnyObject): void {
  for (const field of fields) {
    const [now, before] = [applied, stored].map((side) => (side as Record<string, unknown>)[field]);
    if (isDeepStrictEqual(plain(now ?? null), plain(before ?? null))) continue;
    const path = owner ? `spec.${field}` : field;
    throw invalid(
      `${qualifiedName(owner ?? (applied as AnyObject))}: ${path}: field is immutable; it is ${JSON.stringify(before)}. Delete the object and apply it anew to change it`,
    );
  }
}

function mergeClaim(applied: PersistentVolumeClaim, stored: PersistentVolumeClaim): PersistentVolumeClaim {
  // Kubernetes mirrors one source field in the other; whichever was left out follows the stored one.
  const spec = { ...stored.spec, ...applied.spec };
  const before = { ...stored.spec, accessModes: [...stored.spec.accessModes].sort() };
  const after = { ...spec, accessModes: [...spec.accessModes].sort() };
  // What Kubernetes lets a claim still be given while it has none.
  const open = (key: string) =>
    (key === "volumeName" && stored.spec.volumeName === undefined) ||
    (key === "storageClassName" && stored.spec.storageClassName === undefined && stored.status.phase === "Pending");
  const fixed = Object.keys({ ...before, ...after }).filter(
    (key) => key !== "resources" && key !== "volumeAttributesClassName" && !open(key),
  );
  keepSame(after, before, fixed, applied);
  const asked = parseSize("storage", spec.resources.requests.storage);
  const had = parseSize("storage", stored.spec.resources.requests.storage);
  if (asked < had)
    throw invalid(
      `${qualifiedName(applied)}: spec.resources.requests.storage: a claim cannot shrink: it asks for ${stored.spec.resources.requests.storage}, and ${spec.resources.requests.storage} is less`,
    );
  return { ...applied, spec: { ...spec, accessModes: stored.spec.accessModes }, status: stored.status };
}

function mergeVolume(applied: PersistentVolume, stored: PersistentVolume): PersistentVolume {
  keepSame(applied.spec, stored.spec, ["csi", "volumeMode"], applied);
  if (stored.spec.nodeAffinity && applied.spec.nodeAffinity)
    keepSame(applied.spec, stored.spec, ["nodeAffinity"], applied);
  const { claimRef } = applied.spec;
  const bound = stored.spec.claimRef;
  if (
    claimRef &&
    bound &&
    (claimRef.namespace !== bound.namespace || claimRef.name !== bound.name) &&
    stored.status.phase === "Bound"
  )
    throw invalid(
      `${qualifiedName(applied)}: spec.claimRef: field is immutable while the volume is bound to ${bound.namespace}/${bound.name}`,
    );
  // An expansion raised it since the manifest was written.
  const grown =
    parseSize("storage", stored.spec.capacity.storage) > parseSize("storage", applied.spec.capacity.storage);
  const spec = { ...stored.spec, ...applied.spec, capacity: grown ? stored.spec.capacity : applied.spec.capacity };
  if (claimRef && bound && claimRef.name === bound.name && claimRef.uid === "") spec.claimRef = bound;
  return { ...applied, spec, status: stored.status };
}

/**
 * Deletes an object as Kubernetes does: one that finalizers hold is marked and goes when the last of them has; any other
 * goes at once. Repeating it keeps the first mark's time.
 */
export async function markDeleted(
  store: ObjectStore,
  object: AnyObject,
  now = new Date(),
): Promise<"removed" | "marked"> {
  if (object.metadata.finalizers.length === 0) {
    await store.remove(object);
    return "removed";
  }
  if (object.metadata.deletionTimestamp === undefined)
    await store.put({ ...object, metadata: { ...object.metadata, deletionTimestamp: now.toISOString() } });
  return "marked";
}
