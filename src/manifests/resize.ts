import { parseSize } from "../model/size.js";
import { mountAt } from "../os/mount.js";
import { CsiCallError } from "../runtime/csi-client.js";
import { usersOf } from "./attach.js";
import { volumeCapability } from "./capability.js";
import { clearCondition, hasCondition, setCondition } from "./conditions.js";
import { stagingPath } from "./kubelet-paths.js";
import { capacityOf, isOurs, requestOf, volumeOf } from "./lookup.js";
import type { PersistentVolume, PersistentVolumeClaim } from "./objects.js";
import { quantityOf } from "./quantity.js";
import { type Controller, Refusal, type Session, Wait } from "./session.js";

const PENDING = "FileSystemResizePending";
const LATER = "waiting for a pod to (re)start: the filesystem grows when the volume is staged";

/** Grows a bound claim's volume, as external-resizer does, and then its filesystem where it is in use. */
export const resizer: Controller<"PersistentVolumeClaim"> = {
  kind: "PersistentVolumeClaim",
  failure: "VolumeResizeFailed",
  condition: { type: "ControllerResizeError", status: "True" },
  async run(session, claim) {
    const volume = volumeOf(session, claim);
    const have = claim.status.capacity;
    if (!volume || !have || !isOurs(volume) || claim.metadata.deletionTimestamp !== undefined) return;
    const wanted = requestOf(claim);
    const actual = parseSize("status.capacity.storage", have.storage);
    if (wanted > actual && capacityOf(volume) < wanted) await expand(session, claim, volume);
    const { namespace, name } = claim.metadata;
    const current = session.store.get("PersistentVolumeClaim", namespace, name);
    const grown = current && volumeOf(session, current);
    if (grown && hasCondition(current, PENDING)) await expandInUse(session, current, grown);
  },
};

async function expand(session: Session, claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
  const className = volume.spec.storageClassName;
  const storageClass = session.store.get("StorageClass", "", className);
  if (!storageClass?.allowVolumeExpansion)
    throw new Refusal(
      "VolumeResizeFailed",
      storageClass
        ? `storageclass ${className} does not allow it: set allowVolumeExpansion: true there`
        : `storageclass ${JSON.stringify(className)} not found: only a class can allow it`,
    );
  await session.update(claim, (draft) =>
    setCondition(draft, { type: "Resizing", status: "True", reason: "Resizing", message: "" }),
  );
  await session.event(claim, "Normal", "Resizing", `volume ${volume.metadata.name} is being expanded`);
  const limit = claim.spec.resources.limits?.storage;
  const answer = await session.call("Controller", "ControllerExpandVolume", {
    volume_id: volume.spec.csi.volumeHandle,
    capacity_range: {
      required_bytes: String(requestOf(claim)),
      limit_bytes: limit === undefined ? "0" : String(parseSize("spec.resources.limits.storage", limit)),
    },
    volume_capability: volumeCapability(volume),
  });
  const storage = quantityOf(BigInt(answer.capacity_bytes));
  // The claim first: a volume of the new size whose claim does not say that a filesystem is behind would never grow it.
  await session.update(claim, (draft) => {
    clearCondition(draft, "Resizing");
    if (answer.node_expansion_required)
      setCondition(draft, { type: PENDING, status: "True", reason: PENDING, message: LATER });
    else draft.status.capacity = { storage };
  });
  await session.update(volume, (draft) => {
    draft.spec.capacity = { storage };
  });
}

async function expandInUse(session: Session, claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
  if (!(await isStaged(session, volume))) throw new Wait(PENDING, LATER, "Normal");
  try {
    await expandOnNode(session, volume);
  } catch (error) {
    if (!(error instanceof CsiCallError) || error.code !== "FAILED_PRECONDITION") throw error;
    // Not now is not never: the next stage grows it.
    const message = `${error.details}; ${LATER}`;
    await session.update(claim, (draft) =>
      setCondition(draft, { type: PENDING, status: "True", reason: "NodeExpansionRefused", message }),
    );
    throw new Wait("NodeExpansionRefused", message);
  }
}

async function isStaged(session: Session, volume: PersistentVolume): Promise<boolean> {
  const users = usersOf(session, volume);
  if (volume.spec.volumeMode === "Block") return users.some((pod) => pod.status.phase === "Running");
  return users.length > 0 && (await mountAt(stagingPath(session.options.dataDir, volume))) !== undefined;
}

/** NodeExpandVolume for a staged volume whose claim waits for it; the claim has its new capacity then. */
export async function expandOnNode(session: Session, volume: PersistentVolume): Promise<void> {
  const { claimRef, csi } = volume.spec;
  const claim = claimRef && session.store.get("PersistentVolumeClaim", claimRef.namespace, claimRef.name);
  if (!claim || claim.metadata.uid !== claimRef.uid || !hasCondition(claim, PENDING)) return;
  const path = stagingPath(session.options.dataDir, volume);
  await session.call("Node", "NodeExpandVolume", {
    volume_id: csi.volumeHandle,
    volume_path: path,
    staging_target_path: path,
    capacity_range: { required_bytes: String(capacityOf(volume)) },
    volume_capability: volumeCapability(volume),
  });
  const current = session.store.get("PersistentVolume", "", volume.metadata.name) ?? volume;
  await session.update(claim, (draft) => {
    clearCondition(draft, PENDING);
    draft.status.capacity = { storage: current.spec.capacity.storage };
  });
  await session.event(claim, "Normal", "FileSystemResizeSuccessful", `expanded to ${current.spec.capacity.storage}`);
}
