import type { CreateVolumeRequest } from "../../proto/gen/csi/v1/CreateVolumeRequest.js";
import type { Volume__Output } from "../../proto/gen/csi/v1/Volume.js";
import type { VolumeContentSource } from "../../proto/gen/csi/v1/VolumeContentSource.js";
import { parseSize } from "../model/size.js";
import { bindClaim, claimReference, PVC_PROTECTION } from "./bind.js";
import { claimCapabilities } from "./capability.js";
import { forgetRequest, recordRequest, requestInFlight } from "./intent.js";
import { DRIVER } from "./kubelet-paths.js";
import { boundVolume, capacityOf, podsOf, requestOf, sourceOf } from "./lookup.js";
import { affinityOf } from "./node-affinity.js";
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from "./objects.js";
import { quantityOf } from "./quantity.js";
import { guard, isUndecided, Refusal, type Session, show, Wait } from "./session.js";
import { topologyFor } from "./topology.js";

export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
export const PV_PROTECTION = "kubernetes.io/pv-protection";
export const PROVISIONER_FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer";
const FSTYPE_KEY = "csi.storage.k8s.io/fstype";
const DEFAULT_FSTYPE = "ext4";

/** What has to be known again when a provisioning is taken up after a crash, its class perhaps gone. */
interface Provisioning {
  request: CreateVolumeRequest & { name: string };
  volume: Pick<
    PersistentVolume["spec"],
    "persistentVolumeReclaimPolicy" | "storageClassName" | "mountOptions" | "volumeMode" | "accessModes"
  > & { fsType: string; volumeAttributesClassName?: string };
}

/**
 * Makes a volume for a claim that no present one fits, as external-provisioner does: request recorded, CreateVolume,
 * PersistentVolume with its claimRef, claim bound.
 */
export async function provision(session: Session, claim: PersistentVolumeClaim): Promise<void> {
  let inFlight = requestInFlight<Provisioning>(claim);
  if (!inFlight) {
    const planned = plan(session, claim);
    claim = await session.note(claim, (draft) => {
      guard(draft, PVC_PROTECTION);
      draft.metadata.annotations["volume.kubernetes.io/storage-provisioner"] = DRIVER;
      recordRequest(draft, planned);
    });
    inFlight = planned;
  }
  await session.event(claim, "Normal", "Provisioning", `volume ${inFlight.request.name} is being provisioned`);
  const made = await createVolume(session, claim, inFlight);
  const volume = await session.create(persistentVolume(claim, inFlight, made));
  await bindClaim(session, claim, volume);
  await session.event(claim, "Normal", "ProvisioningSucceeded", `volume ${volume.metadata.name} is provisioned`);
}

async function createVolume(
  session: Session,
  claim: PersistentVolumeClaim,
  plan: Provisioning,
): Promise<Volume__Output> {
  try {
    const { volume } = await session.call("Controller", "CreateVolume", plan.request);
    if (!volume) throw new Refusal("ProvisioningFailed", "CreateVolume answered without a volume");
    return volume;
  } catch (error) {
    // A final code says that nothing was made: the next try may ask for something else.
    if (!isUndecided(error)) await session.note(claim, forgetRequest);
    throw error;
  }
}

/** Undoes a provisioning that its claim's deletion overtook: the answer of the repeated request names what was made. */
export async function abandonProvisioning(session: Session, claim: PersistentVolumeClaim): Promise<void> {
  const inFlight = requestInFlight<Provisioning>(claim);
  if (!inFlight) return;
  const recorded = session.store.get("PersistentVolume", "", inFlight.request.name);
  if (!recorded) {
    const made = await createVolume(session, claim, inFlight).catch((error: unknown) => {
      if (isUndecided(error)) throw error;
      return undefined;
    });
    if (made) await session.call("Controller", "DeleteVolume", { volume_id: made.volume_id });
  }
  await session.note(claim, forgetRequest);
}

function plan(session: Session, claim: PersistentVolumeClaim): Provisioning {
  const storageClass = classOf(session, claim);
  const { accessModes, volumeMode } = claim.spec;
  if (claim.spec.selector)
    throw new Refusal(
      "ProvisioningFailed",
      "a claim with a selector is bound to a volume that exists, none is made for it",
    );
  const consumer = podsOf(session, claim).find((pod) => pod.metadata.deletionTimestamp === undefined);
  if (storageClass.volumeBindingMode === "WaitForFirstConsumer" && !consumer)
    throw new Wait("WaitForFirstConsumer", "waiting for first consumer to be created before binding", "Normal");
  const { [FSTYPE_KEY]: named, ...parameters } = storageClass.parameters;
  const source = contentSource(session, claim);
  // A copy has its source's filesystem: only a class that names one itself may ask for another.
  const fsType = volumeMode === "Block" ? "" : (named ?? (source ? "" : DEFAULT_FSTYPE));
  const name = `pvc-${claim.metadata.uid}`;
  const limit = claim.spec.resources.limits?.storage;
  const attributes = attributesClass(session, claim);
  const { mountOptions, reclaimPolicy } = storageClass;
  return {
    request: {
      name,
      capacity_range: {
        required_bytes: String(requestOf(claim)),
        limit_bytes: limit === undefined ? "0" : String(parseSize("spec.resources.limits.storage", limit)),
      },
      volume_capabilities: claimCapabilities({ accessModes, volumeMode, fsType, mountOptions }),
      parameters: {
        ...parameters,
        "csi.storage.k8s.io/pvc/name": claim.metadata.name,
        "csi.storage.k8s.io/pvc/namespace": claim.metadata.namespace,
        "csi.storage.k8s.io/pv/name": name,
      },
      mutable_parameters: attributes ?? {},
      volume_content_source: source,
      accessibility_requirements: topologyFor(storageClass, session.node),
    },
    volume: {
      persistentVolumeReclaimPolicy: reclaimPolicy,
      storageClassName: storageClass.metadata.name,
      mountOptions,
      volumeMode,
      accessModes,
      fsType,
      ...(claim.spec.volumeAttributesClassName
        ? { volumeAttributesClassName: claim.spec.volumeAttributesClassName }
        : {}),
    },
  };
}

function classOf(session: Session, claim: PersistentVolumeClaim): StorageClass {
  const name = claim.spec.storageClassName;
  if (name === undefined || name === "") {
    const why = name === "" ? "storageClassName is empty" : "there is no default storage class";
    throw new Wait("FailedBinding", `no persistent volume fits this claim, and none is made because ${why}`);
  }
  const found = session.store.get("StorageClass", "", name);
  if (!found) throw new Wait("ProvisioningFailed", `storageclass ${name} not found`);
  if (found.provisioner !== DRIVER)
    throw new Wait(
      "ExternalProvisioning",
      `waiting for ${found.provisioner}; only ${DRIVER} is acted on here`,
      "Normal",
    );
  return found;
}

/** The parameters of the claim's VolumeAttributesClass, when it names one. @throws Wait */
export function attributesClass(session: Session, claim: PersistentVolumeClaim): Record<string, string> | undefined {
  const name = claim.spec.volumeAttributesClassName;
  if (!name) return undefined;
  const found = session.store.get("VolumeAttributesClass", "", name);
  if (!found) throw new Wait("VolumeAttributesClassNotFound", `volumeattributesclass ${name} not found`);
  if (found.driverName !== DRIVER)
    throw new Refusal("ForeignClass", `volumeattributesclass ${name} is of ${found.driverName}, not of ${DRIVER}`);
  return found.parameters;
}

function contentSource(session: Session, claim: PersistentVolumeClaim): VolumeContentSource | null {
  const source = sourceOf(claim);
  if (!source) return null;
  const { namespace } = claim.metadata;
  if (source.kind === "PersistentVolumeClaim" && source.apiGroup === "") {
    const origin = session.store.get("PersistentVolumeClaim", namespace, source.name);
    if (origin?.metadata.deletionTimestamp !== undefined)
      throw new Refusal("ProvisioningFailed", `the source, ${show(origin)}, is being deleted`);
    const volume = boundVolume(session, namespace, source.name);
    if (volume.spec.volumeMode !== claim.spec.volumeMode)
      throw new Refusal("ProvisioningFailed", `volumeMode must be the source's, ${volume.spec.volumeMode}`);
    refuseSmaller(claim, capacityOf(volume), show(volume));
    return { volume: { volume_id: volume.spec.csi.volumeHandle } };
  }
  if (source.kind === "VolumeSnapshot" && source.apiGroup === "snapshot.storage.k8s.io") {
    const snapshot = session.store.get("VolumeSnapshot", namespace, source.name);
    if (!snapshot) throw new Wait("ProvisioningFailed", `volumesnapshot ${namespace}/${source.name} not found`);
    if (snapshot.metadata.deletionTimestamp !== undefined)
      throw new Refusal("ProvisioningFailed", `the source, ${show(snapshot)}, is being deleted`);
    const { readyToUse, snapshotHandle, restoreSize } = snapshot.status;
    if (!readyToUse || snapshotHandle === undefined)
      throw new Wait("ProvisioningFailed", `${show(snapshot)} is not ready to use yet`);
    if (restoreSize !== undefined) refuseSmaller(claim, parseSize("status.restoreSize", restoreSize), show(snapshot));
    return { snapshot: { snapshot_id: snapshotHandle } };
  }
  const named = `${source.apiGroup ? `${source.apiGroup}/` : ""}${source.kind}`;
  throw new Refusal("ProvisioningFailed", `dataSource ${named}: use a PersistentVolumeClaim or a VolumeSnapshot`);
}

function refuseSmaller(claim: PersistentVolumeClaim, sourceBytes: bigint, source: string): void {
  if (requestOf(claim) >= sourceBytes) return;
  const message = `resources.requests.storage is below the size of its source, ${source}: ask for at least ${quantityOf(sourceBytes)}`;
  throw new Refusal("ProvisioningFailed", message);
}

function persistentVolume(claim: PersistentVolumeClaim, plan: Provisioning, made: Volume__Output): PersistentVolume {
  const { fsType, ...spec } = plan.volume;
  const nodeAffinity = affinityOf(made.accessible_topology);
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: {
      name: plan.request.name,
      namespace: "",
      // The name holds the claim's uid, so this is as unique, and the same again after a crash.
      uid: `pv-${claim.metadata.uid}`,
      creationTimestamp: new Date().toISOString(),
      labels: {},
      annotations: { [PROVISIONED_BY]: DRIVER },
      finalizers: [PV_PROTECTION, PROVISIONER_FINALIZER],
    },
    spec: {
      ...spec,
      capacity: { storage: quantityOf(BigInt(made.capacity_bytes)) },
      ...(nodeAffinity ? { nodeAffinity } : {}),
      claimRef: claimReference(claim),
      csi: {
        driver: DRIVER,
        volumeHandle: made.volume_id,
        fsType,
        readOnly: false,
        volumeAttributes: made.volume_context,
      },
    },
    status: { phase: "Bound", conditions: [] },
  };
}
