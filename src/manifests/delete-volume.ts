import { DRIVER } from "./kubelet-paths.js";
import { isOurs } from "./lookup.js";
import type { PersistentVolume } from "./objects.js";
import { PROVISIONED_BY, PROVISIONER_FINALIZER, PV_PROTECTION } from "./provision.js";
import { type Controller, guard, type Session, show, Wait } from "./session.js";

/** The phases of a PersistentVolume, and its reclaim policy once its claim is gone. */
export const volumeReclaimer: Controller<"PersistentVolume"> = {
  kind: "PersistentVolume",
  failure: "VolumeFailedDelete",
  condition: { type: "Reclaimed", status: "False" },
  async run(session, volume) {
    const deleted = volume.metadata.deletionTimestamp !== undefined;
    const phase = phaseOf(session, volume);
    const current = await session.update(volume, (draft) => {
      draft.status.phase = phase;
      if (!deleted) guard(draft, PV_PROTECTION);
    });
    if (phase === "Bound" && deleted)
      throw new Wait(
        "VolumeInUse",
        `deletion waits: bound to claim ${volume.spec.claimRef?.namespace}/${volume.spec.claimRef?.name}`,
        "Normal",
      );
    const provisioned = current.metadata.annotations[PROVISIONED_BY] === DRIVER && isOurs(current);
    const reclaim = provisioned && current.spec.persistentVolumeReclaimPolicy === "Delete";
    if (!deleted && !(phase === "Released" && reclaim)) return;
    const attachment = attachmentOf(session, current);
    if (attachment)
      throw new Wait("VolumeAttached", `deletion waits: ${show(attachment)} is not detached yet`, "Normal");
    await session.requestDeletion(current);
    if (reclaim) await session.call("Controller", "DeleteVolume", { volume_id: current.spec.csi.volumeHandle });
    await session.release(current, PV_PROTECTION, PROVISIONER_FINALIZER);
  },
};

function phaseOf(session: Session, volume: PersistentVolume): PersistentVolume["status"]["phase"] {
  const { claimRef } = volume.spec;
  // A claimRef without a uid reserves the volume for a claim of that name that is yet to come.
  if (!claimRef || claimRef.uid === "") return "Available";
  const claim = session.store.get("PersistentVolumeClaim", claimRef.namespace, claimRef.name);
  return claim?.metadata.uid === claimRef.uid ? "Bound" : "Released";
}

export const attachmentOf = (session: Session, volume: PersistentVolume) =>
  session.store
    .list("VolumeAttachment")
    .find((attachment) => attachment.spec.source.persistentVolumeName === volume.metadata.name);
