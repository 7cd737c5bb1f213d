import { bindClaim, fittingVolume, PVC_PROTECTION } from "./bind.js";
import { requestInFlight } from "./intent.js";
import { defaultClassName, podsOf, sourceOf, volumeOf } from "./lookup.js";
import type { PersistentVolumeClaim } from "./objects.js";
import { abandonProvisioning, provision } from "./provision.js";
import { type Controller, guard, Refusal, type Session, show, Wait } from "./session.js";

/** Binds a claim to a volume that is there, or has one made for it. */
export const claimBinder: Controller<"PersistentVolumeClaim"> = {
  kind: "PersistentVolumeClaim",
  failure: "ProvisioningFailed",
  condition: { type: "Bound", status: "False" },
  async run(session, claim) {
    if (claim.metadata.deletionTimestamp !== undefined) return;
    const guarded = await session.update(claim, (draft) => {
      guard(draft, PVC_PROTECTION);
      if (draft.status.phase === "Pending") giveDefaultClass(session, draft);
    });
    if (guarded.status.phase !== "Pending") return checkBound(session, guarded);
    // What was asked of the driver before is finished before anything else is chosen.
    const known = session.store.get("PersistentVolume", "", `pvc-${claim.metadata.uid}`);
    if (requestInFlight(guarded) && !known) return provision(session, guarded);
    const volume = fittingVolume(session, guarded);
    return volume ? bindClaim(session, guarded, volume) : provision(session, guarded);
  },
};

/** As the DefaultStorageClass admission does, and Kubernetes later for a claim that was there before its class. */
function giveDefaultClass(session: Session, draft: PersistentVolumeClaim): void {
  const name = draft.spec.storageClassName ?? defaultClassName(session);
  if (name !== undefined) draft.spec.storageClassName = name;
}

async function checkBound(session: Session, claim: PersistentVolumeClaim): Promise<void> {
  const present = volumeOf(session, { ...claim, status: { ...claim.status, phase: "Bound" } }) !== undefined;
  const phase = present ? "Bound" : "Lost";
  await session.update(claim, (draft) => {
    draft.status.phase = phase;
  });
  if (!present)
    throw new Refusal(
      "ClaimLost",
      `its volume, persistentvolume ${claim.spec.volumeName ?? ""}, is gone or bound to another`,
    );
}

/** Lets a deleted claim go once nothing uses it any more (the pvc-protection controller). */
export const claimProtection: Controller<"PersistentVolumeClaim"> = {
  kind: "PersistentVolumeClaim",
  failure: "DeletionFailed",
  condition: { type: "Deleting", status: "False" },
  async run(session, claim) {
    if (claim.metadata.deletionTimestamp === undefined) return;
    const holder = holderOf(session, claim);
    if (holder) throw new Wait("ClaimInUse", `deletion waits: the claim is in use by ${holder}`, "Normal");
    await abandonProvisioning(session, claim);
    await session.release(claim, PVC_PROTECTION);
  },
};

function holderOf(session: Session, claim: PersistentVolumeClaim): string | undefined {
  const { namespace, name } = claim.metadata;
  // A pod that was not placed yet has nothing mounted, and waits for the claim itself.
  const pod = podsOf(session, claim).find((one) => one.status.nodeName !== undefined);
  if (pod) return show(pod);
  const clone = session.store
    .list("PersistentVolumeClaim")
    .filter((other) => other.metadata.namespace === namespace && requestInFlight(other) !== undefined)
    .find((other) => sourceOf(other)?.kind === "PersistentVolumeClaim" && sourceOf(other)?.name === name);
  if (clone) return `${show(clone)}, which is being cloned from it`;
  const snapshot = session.store
    .list("VolumeSnapshot")
    .filter((other) => other.metadata.namespace === namespace && requestInFlight(other) !== undefined)
    .find((other) => other.spec.source.persistentVolumeClaimName === name);
  if (snapshot) return `${show(snapshot)}, which is being cut`;
  const volumeName = claim.spec.volumeName ?? "";
  const group = session.store
    .list("VolumeGroupSnapshot")
    .find((other) => requestInFlight<{ volumes: string[] }>(other)?.volumes.includes(volumeName));
  return group ? `${show(group)}, which is being cut` : undefined;
}
