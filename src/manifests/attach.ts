import { mkdir } from "node:fs/promises";
import { CsiCallError } from "../runtime/csi-client.js";
import { volumeCapability } from "./capability.js";
import { attachmentName, DRIVER, removeEmpty, stagingPath } from "./kubelet-paths.js";
import { claimNameOf, volumeOf } from "./lookup.js";
import type { PersistentVolume, Pod, VolumeAttachment } from "./objects.js";
import { type Controller, type Session, show } from "./session.js";

const ATTACHER_FINALIZER = "external-attacher/csi-granary-dev";

/** Attaches a volume to this node, as external-attacher does: the VolumeAttachment is there before the call. */
export async function attach(session: Session, volume: PersistentVolume): Promise<VolumeAttachment> {
  const name = attachmentName(volume.spec.csi.volumeHandle, session.node.id);
  let attachment = session.store.get("VolumeAttachment", "", name);
  attachment ??= await session.create(newAttachment(session, volume, name));
  if (attachment.status.attached) return attachment;
  const { csi } = volume.spec;
  try {
    const { publish_context } = await session.call("Controller", "ControllerPublishVolume", {
      volume_id: csi.volumeHandle,
      node_id: session.node.id,
      volume_capability: volumeCapability(volume),
      readonly: csi.readOnly,
      volume_context: csi.volumeAttributes,
    });
    return await session.update(attachment, (draft) => {
      draft.status = { attached: true, attachmentMetadata: publish_context };
    });
  } catch (error) {
    if (error instanceof CsiCallError) {
      const attachError = error.message;
      await session.update(attachment, (draft) => {
        draft.status.attachError = attachError;
      });
    }
    throw error;
  }
}

function newAttachment(session: Session, volume: PersistentVolume, name: string): VolumeAttachment {
  return {
    apiVersion: "storage.k8s.io/v1",
    kind: "VolumeAttachment",
    metadata: {
      name,
      namespace: "",
      uid: crypto.randomUUID(),
      creationTimestamp: new Date().toISOString(),
      labels: {},
      annotations: {},
      finalizers: [ATTACHER_FINALIZER],
    },
    spec: {
      attacher: DRIVER,
      nodeName: session.node.id,
      source: { persistentVolumeName: volume.metadata.name },
    },
    status: { attached: false, attachmentMetadata: {} },
  };
}

/**
 * Stages an attached volume; kubelet makes the staging folder itself (CSI, NodeStageVolume: staging_target_path). All
 * pods of the node share it, so the fsGroup of one is given at publish alone: a second group would be another capability.
 */
export async function stage(session: Session, volume: PersistentVolume, attachment: VolumeAttachment): Promise<string> {
  const path = stagingPath(session.options.dataDir, volume);
  await mkdir(path, { recursive: true, mode: 0o750 });
  await session.call("Node", "NodeStageVolume", {
    volume_id: volume.spec.csi.volumeHandle,
    publish_context: attachment.status.attachmentMetadata,
    staging_target_path: path,
    volume_capability: volumeCapability(volume),
    volume_context: volume.spec.csi.volumeAttributes,
  });
  return path;
}

/** Unstages and detaches what no pod here uses any more. */
export const detacher: Controller<"VolumeAttachment"> = {
  kind: "VolumeAttachment",
  failure: "FailedDetachVolume",
  condition: { type: "Detached", status: "False" },
  async run(session, attachment) {
    if (attachment.spec.attacher !== DRIVER) return;
    const volume = session.store.get("PersistentVolume", "", attachment.spec.source.persistentVolumeName);
    if (!volume) return session.release(attachment, ATTACHER_FINALIZER);
    if (usersOf(session, volume).length > 0) return;
    const { volumeHandle } = volume.spec.csi;
    await session.requestDeletion(attachment);
    const { dataDir } = session.options;
    const staging_target_path = stagingPath(dataDir, volume);
    await session.call("Node", "NodeUnstageVolume", { volume_id: volumeHandle, staging_target_path });
    await removeEmpty(dataDir, staging_target_path);
    await session.call("Controller", "ControllerUnpublishVolume", {
      volume_id: volumeHandle,
      node_id: attachment.spec.nodeName,
    });
    session.options.progress(`${show(volume)} detached`);
    await session.release(attachment, ATTACHER_FINALIZER);
  },
};

/** The pods that were placed on this node and use the volume: each may have it published. */
export function usersOf(session: Session, volume: PersistentVolume): Pod[] {
  return session.store.list("Pod").filter((pod) => {
    if (pod.status.nodeName === undefined) return false;
    return pod.spec.volumes.some((entry) => {
      const name = claimNameOf(pod, entry);
      const claim =
        name === undefined ? undefined : session.store.get("PersistentVolumeClaim", pod.metadata.namespace, name);
      return claim !== undefined && volumeOf(session, claim)?.metadata.uid === volume.metadata.uid;
    });
  });
}
