import type { Volume__Output } from "../../../proto/gen/csi/v1/Volume.js";
import { StorageError } from "../../errors/storage-error.js";
import { claimReference } from "../bind.js";
import { DRIVER } from "../kubelet-paths.js";
import { volumeOf } from "../lookup.js";
import { affinityOf } from "../node-affinity.js";
import type { PersistentVolume, PersistentVolumeClaim } from "../objects.js";
import { PROVISIONED_BY, PROVISIONER_FINALIZER, PV_PROTECTION } from "../provision.js";
import { quantityOf } from "../quantity.js";
import type { Session } from "../session.js";
import { type Migration, recordMigration } from "./migration-record.js";

/**
 * Gives the claim its new volume. In this order: the new PersistentVolume is there before the claim names it, and the
 * claim names it before the old one is let go (`releaseOld`); until the claim's own write the claim has the old volume,
 * from it on the new.
 *
 * @param migration as it is from the switch on: ended, with what is left to take away
 */
export async function switchClaim(session: Session, migration: Migration, target: Volume__Output): Promise<void> {
  const old = session.store.get("PersistentVolume", "", migration.from);
  const claim = session.store.list("PersistentVolumeClaim").find((one) => one.metadata.uid === old?.spec.claimRef?.uid);
  if (!old || !claim || volumeOf(session, claim) === undefined)
    throw new StorageError("aborted", `persistentvolume ${migration.from} or its claim was deleted meanwhile`);
  const made = newVolume(session, old, claim, migration, target);
  if (!session.store.get("PersistentVolume", "", migration.name)) await session.create(made);
  await session.update(claim, (draft) => {
    recordMigration(draft, migration);
    draft.spec.volumeName = migration.name;
    draft.spec.storageClassName = migration.to;
    draft.status.capacity = { storage: made.spec.capacity.storage };
  });
  await session.event(claim, "Normal", "Migrated", `now on volume ${migration.name} of class ${migration.to}`);
}

/** The old volume is of no claim any more: Released, and reclaimed as its policy says. */
export async function releaseOld(session: Session, { from, ended }: Migration): Promise<void> {
  const old = session.store.get("PersistentVolume", "", from);
  if (!old) return;
  await session.update(old, ({ spec }) => {
    if (spec.claimRef) spec.claimRef.uid = `${spec.claimRef.uid.replace(/-migrated$/, "")}-migrated`;
    if (ended === "source-kept") spec.persistentVolumeReclaimPolicy = "Retain";
  });
}

function newVolume(
  session: Session,
  old: PersistentVolume,
  claim: PersistentVolumeClaim,
  { name, to }: Migration,
  target: Volume__Output,
): PersistentVolume {
  const storageClass = session.store.get("StorageClass", "", to);
  const nodeAffinity = affinityOf(target.accessible_topology);
  const { accessModes, volumeMode, csi } = old.spec;
  return {
    ...{ apiVersion: "v1", kind: "PersistentVolume", status: { phase: "Bound", conditions: [] } },
    metadata: {
      ...{ name, namespace: "", uid: `pv-${name}`, creationTimestamp: new Date().toISOString(), labels: {} },
      annotations: { [PROVISIONED_BY]: DRIVER },
      finalizers: [PV_PROTECTION, PROVISIONER_FINALIZER],
    },
    spec: {
      ...{ accessModes, volumeMode, storageClassName: to, claimRef: claimReference(claim) },
      capacity: { storage: quantityOf(BigInt(target.capacity_bytes)) },
      persistentVolumeReclaimPolicy: storageClass?.reclaimPolicy ?? old.spec.persistentVolumeReclaimPolicy,
      mountOptions: storageClass?.mountOptions ?? [],
      ...(nodeAffinity ? { nodeAffinity } : {}),
      csi: {
        ...{ driver: DRIVER, volumeHandle: target.volume_id, fsType: csi.fsType, readOnly: csi.readOnly },
        volumeAttributes: target.volume_context,
      },
    },
  };
}
