import { parseSize } from "../model/size.js";
import { isDefaultClass } from "./default-class.js";
import { DRIVER } from "./kubelet-paths.js";
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodVolume,
  StorageClass,
  VolumeGroupSnapshotClass,
  VolumeSnapshotClass,
} from "./objects.js";
import { Refusal, type Session, show, Wait } from "./session.js";

/*
 * The references between objects, in one place.
 */

const newestFirst = (a: StorageClass, b: StorageClass) =>
  b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp) ||
  a.metadata.name.localeCompare(b.metadata.name);

/** The class that a claim gets which names none: the newest of the default ones, as Kubernetes chooses. */
export function defaultClassName(session: Session): string | undefined {
  return session.store.list("StorageClass").filter(isDefaultClass).sort(newestFirst)[0]?.metadata.name;
}

export const requestOf = (claim: PersistentVolumeClaim) =>
  parseSize("spec.resources.requests.storage", claim.spec.resources.requests.storage);

export const capacityOf = (volume: PersistentVolume) =>
  parseSize("spec.capacity.storage", volume.spec.capacity.storage);

/** The volume that a claim is bound to. */
export function volumeOf(session: Session, claim: PersistentVolumeClaim): PersistentVolume | undefined {
  if (claim.status.phase !== "Bound" || claim.spec.volumeName === undefined) return undefined;
  const volume = session.store.get("PersistentVolume", "", claim.spec.volumeName);
  return volume?.spec.claimRef?.uid === claim.metadata.uid ? volume : undefined;
}

export const isOurs = (volume: PersistentVolume) => volume.spec.csi.driver === DRIVER;

/** The claim's name of a pod's volume, or undefined when it is none. */
export function claimNameOf(pod: Pod, volume: PodVolume): string | undefined {
  if (volume.persistentVolumeClaim) return volume.persistentVolumeClaim.claimName;
  return volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined;
}

/** The pods of a claim, oldest first. */
export function podsOf(session: Session, claim: PersistentVolumeClaim): Pod[] {
  return session.store
    .list("Pod")
    .filter((pod) => pod.metadata.namespace === claim.metadata.namespace)
    .filter((pod) => pod.spec.volumes.some((volume) => claimNameOf(pod, volume) === claim.metadata.name))
    .sort(
      (a, b) =>
        a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp) ||
        a.metadata.name.localeCompare(b.metadata.name),
    );
}

/** The claim or snapshot that a claim is filled from, when it names one. */
export const sourceOf = (claim: PersistentVolumeClaim) => claim.spec.dataSourceRef ?? claim.spec.dataSource;

/** A bound claim's volume of ours. @throws Wait, Refusal */
export function boundVolume(session: Session, namespace: string, claimName: string): PersistentVolume {
  const claim = session.store.get("PersistentVolumeClaim", namespace, claimName);
  if (!claim) throw new Wait("ClaimNotFound", `persistentvolumeclaim ${namespace}/${claimName} not found`);
  const volume = volumeOf(session, claim);
  if (!volume) throw new Wait("ClaimNotBound", `${show(claim)} is not bound yet`, "Normal");
  if (!isOurs(volume))
    throw new Refusal("ForeignVolume", `${show(claim)} is a volume of ${volume.spec.csi.driver}, not of ${DRIVER}`);
  return volume;
}

/** The named or default class of a snapshot, of ours. @throws Wait, Refusal */
export function snapshotClass(session: Session, name: string | undefined): VolumeSnapshotClass {
  return choose(session.store.list("VolumeSnapshotClass"), name, "volumesnapshotclass");
}

/** The named or default class of a group snapshot, of ours. @throws Wait, Refusal */
export function groupSnapshotClass(session: Session, name: string | undefined): VolumeGroupSnapshotClass {
  return choose(session.store.list("VolumeGroupSnapshotClass"), name, "volumegroupsnapshotclass");
}

function choose<T extends VolumeSnapshotClass | VolumeGroupSnapshotClass>(
  classes: readonly T[],
  name: string | undefined,
  kind: string,
): T {
  const defaults = classes.filter((one) => one.driver === DRIVER && isDefaultClass(one));
  // Unlike storage classes, several defaults are an error in Kubernetes: the choice would not be stable.
  if (name === undefined && defaults.length > 1)
    throw new Refusal("SetDefaultSnapshotClassFailed", `there are ${defaults.length} default ${kind}es; keep one`);
  const found = name === undefined ? defaults[0] : classes.find((one) => one.metadata.name === name);
  if (!found)
    throw new Wait("ClassNotFound", name === undefined ? `there is no default ${kind}` : `${kind} ${name} not found`);
  if (found.driver !== DRIVER)
    throw new Wait("ForeignClass", `${kind} ${found.metadata.name} is of ${found.driver}; only ${DRIVER} is acted on`);
  return found;
}
