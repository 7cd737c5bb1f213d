import { forgetRequest } from "./intent.js";
import { capacityOf, requestOf } from "./lookup.js";
import { allowsNode } from "./node-affinity.js";
import type { ObjectReference, PersistentVolume, PersistentVolumeClaim } from "./objects.js";
import { guard, Refusal, type Session, show, Wait } from "./session.js";

export const PVC_PROTECTION = "kubernetes.io/pvc-protection";

export function claimReference(claim: PersistentVolumeClaim): ObjectReference {
  const { namespace, name, uid } = claim.metadata;
  return { kind: "PersistentVolumeClaim", namespace, name, uid };
}

/**
 * Binds both ways, the volume first: a crash between the two leaves a volume that names its claim, and that claim finds
 * it again.
 */
export async function bindClaim(
  session: Session,
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
): Promise<void> {
  await session.update(volume, (draft) => {
    draft.spec.claimRef = claimReference(claim);
    draft.status.phase = "Bound";
  });
  await session.update(claim, (draft) => {
    guard(draft, PVC_PROTECTION);
    forgetRequest(draft);
    draft.metadata.annotations["pv.kubernetes.io/bind-completed"] = "yes";
    draft.spec.volumeName = volume.metadata.name;
    const attributes = volume.spec.volumeAttributesClassName;
    draft.status = {
      ...draft.status,
      phase: "Bound",
      accessModes: volume.spec.accessModes,
      capacity: { storage: volume.spec.capacity.storage },
      ...(attributes ? { currentVolumeAttributesClassName: attributes } : {}),
    };
  });
}

/** A volume that a claim can have: the one it names, one that names it, or the smallest free one that fits. */
export function fittingVolume(session: Session, claim: PersistentVolumeClaim): PersistentVolume | undefined {
  const volumes = session.store.list("PersistentVolume").filter((pv) => pv.metadata.deletionTimestamp === undefined);
  const mine = volumes.find((pv) => pv.spec.claimRef?.uid === claim.metadata.uid);
  if (mine) return mine;
  if (claim.spec.volumeName !== undefined) return namedVolume(session, claim, claim.spec.volumeName);
  const fits = volumes.filter(
    (pv) => isFree(pv, claim) && mismatch(claim, pv) === undefined && allowsNode(pv.spec.nodeAffinity, session.node),
  );
  // A volume that its owner reserved for this claim goes before any other.
  const reserved = fits.filter((pv) => pv.spec.claimRef !== undefined);
  const bySize = (a: PersistentVolume, b: PersistentVolume) => (capacityOf(a) < capacityOf(b) ? -1 : 1);
  return (reserved.length > 0 ? reserved : fits).sort(bySize)[0];
}

function namedVolume(session: Session, claim: PersistentVolumeClaim, name: string): PersistentVolume {
  const volume = session.store.get("PersistentVolume", "", name);
  if (!volume) throw new Wait("FailedBinding", `volumeName: persistentvolume ${name} not found`);
  const { claimRef } = volume.spec;
  if (!isFree(volume, claim))
    throw new Refusal(
      "FailedBinding",
      `${show(volume)} is ${claimRef ? `bound to ${claimRef.namespace}/${claimRef.name}` : volume.status.phase}`,
    );
  const reason = mismatch(claim, volume);
  if (reason !== undefined) throw new Refusal("VolumeMismatch", `${show(volume)}: ${reason}`);
  return volume;
}

function isFree(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const { claimRef } = volume.spec;
  if (!claimRef) return volume.status.phase === "Available";
  const { namespace, name } = claim.metadata;
  return claimRef.uid === "" && claimRef.namespace === namespace && claimRef.name === name;
}

/** Why a claim cannot have a volume, or undefined when it can. */
function mismatch(claim: PersistentVolumeClaim, volume: PersistentVolume): string | undefined {
  const className = claim.spec.storageClassName ?? "";
  if (volume.spec.storageClassName !== className)
    return `its storage class is ${JSON.stringify(volume.spec.storageClassName)}, not ${JSON.stringify(className)}`;
  if (volume.spec.volumeMode !== claim.spec.volumeMode) return `its volumeMode is ${volume.spec.volumeMode}`;
  const missing = claim.spec.accessModes.find((mode) => !volume.spec.accessModes.includes(mode));
  if (missing) return `it does not offer ${missing}`;
  if (capacityOf(volume) < requestOf(claim)) return `its capacity is ${volume.spec.capacity.storage}, too small`;
  const labels = Object.entries(claim.spec.selector?.matchLabels ?? {});
  const other = labels.find(([key, value]) => volume.metadata.labels[key] !== value);
  return other ? `it has no label ${other[0]}=${other[1]}` : undefined;
}
