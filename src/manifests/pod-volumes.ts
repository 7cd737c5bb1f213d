import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { mountAt } from "../os/mount.js";
import { attach, stage } from "./attach.js";
import { volumeCapability } from "./capability.js";
import {
  attachmentName,
  DRIVER,
  inlineTargetPath,
  inlineVolumeId,
  podFolder,
  removeEmpty,
  stagingPath,
  targetPath,
} from "./kubelet-paths.js";
import { claimNameOf, isOurs, volumeOf } from "./lookup.js";
import type { PersistentVolume, Pod, PodVolume } from "./objects.js";
import { expandOnNode } from "./resize.js";
import { Refusal, type Session, show, Wait } from "./session.js";

/** One volume of a pod, with what it refers to found. */
export type PlannedVolume =
  | { type: "volume"; name: string; volume: PersistentVolume; readOnly: boolean }
  | { type: "inline"; name: string; source: NonNullable<PodVolume["csi"]> }
  | { type: "other"; name: string };

/** Every volume of the pod. @throws Wait for a claim that is not bound yet, Refusal for another driver's */
export function planVolumes(session: Session, pod: Pod): PlannedVolume[] {
  return pod.spec.volumes.map((entry) => {
    if (entry.csi) {
      if (entry.csi.driver !== DRIVER)
        throw new Refusal("FailedMount", `volume ${entry.name}: driver ${entry.csi.driver} is not ${DRIVER}`);
      return { type: "inline", name: entry.name, source: entry.csi };
    }
    const claimName = claimNameOf(pod, entry);
    if (claimName === undefined) return { type: "other", name: entry.name };
    const { namespace } = pod.metadata;
    const claim = session.store.get("PersistentVolumeClaim", namespace, claimName);
    if (!claim) throw new Wait("FailedScheduling", `persistentvolumeclaim ${namespace}/${claimName} not found`);
    if (claim.metadata.deletionTimestamp !== undefined && pod.status.nodeName === undefined)
      throw new Wait("FailedScheduling", `${show(claim)} is being deleted`);
    const volume = volumeOf(session, claim);
    if (!volume) throw new Wait("FailedScheduling", `${show(claim)} is not bound yet`);
    if (!isOurs(volume))
      throw new Refusal("FailedMount", `volume ${entry.name}: ${show(volume)} is of ${volume.spec.csi.driver}`);
    const readOnly = (entry.persistentVolumeClaim?.readOnly ?? false) || volume.spec.csi.readOnly;
    return { type: "volume", name: entry.name, volume, readOnly };
  });
}

/** Brings one volume to its path for the pod, and tells that path. What is mounted there already is left alone. */
export async function publish(session: Session, pod: Pod, planned: PlannedVolume): Promise<string> {
  switch (planned.type) {
    case "volume":
      return publishVolume(session, pod, planned.volume, planned.readOnly);
    case "inline":
      return publishInline(session, pod, planned.name, planned.source);
    case "other":
      return "";
  }
}

async function publishVolume(session: Session, pod: Pod, volume: PersistentVolume, readonly: boolean): Promise<string> {
  const { dataDir } = session.options;
  const path = targetPath(dataDir, pod, volume);
  const { volumeHandle, volumeAttributes } = volume.spec.csi;
  const attachment = await attach(session, volume);
  if (await mountAt(path)) return path;
  const group = pod.spec.fsGroup === undefined ? "" : String(pod.spec.fsGroup);
  if (!(await mountAt(stagingPath(dataDir, volume)))) {
    await stage(session, volume, attachment);
    await expandOnNode(session, volume);
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  await session.call("Node", "NodePublishVolume", {
    volume_id: volumeHandle,
    publish_context: attachment.status.attachmentMetadata,
    staging_target_path: stagingPath(dataDir, volume),
    target_path: path,
    volume_capability: volumeCapability(volume, group),
    readonly,
    volume_context: volumeAttributes,
  });
  return path;
}

async function publishInline(
  session: Session,
  pod: Pod,
  name: string,
  source: NonNullable<PodVolume["csi"]>,
): Promise<string> {
  const path = inlineTargetPath(session.options.dataDir, pod, name);
  if (await mountAt(path)) return path;
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  const volume_mount_group = pod.spec.fsGroup === undefined ? "" : String(pod.spec.fsGroup);
  await session.call("Node", "NodePublishVolume", {
    volume_id: inlineVolumeId(pod, name),
    target_path: path,
    volume_capability: {
      mount: { fs_type: source.fsType, mount_flags: [], volume_mount_group },
      access_mode: { mode: "SINGLE_NODE_MULTI_WRITER" },
    },
    readonly: source.readOnly,
    volume_context: {
      ...source.volumeAttributes,
      "csi.storage.k8s.io/ephemeral": "true",
      "csi.storage.k8s.io/pod.name": pod.metadata.name,
      "csi.storage.k8s.io/pod.namespace": pod.metadata.namespace,
      "csi.storage.k8s.io/pod.uid": pod.metadata.uid,
      "csi.storage.k8s.io/serviceAccount.name": "default",
    },
  });
  return path;
}

/** Takes every volume of the pod away from its paths; those that never got there cost one call that does nothing. */
export async function unpublishAll(session: Session, pod: Pod): Promise<void> {
  const { dataDir } = session.options;
  for (const entry of pod.spec.volumes) {
    if (entry.csi?.driver === DRIVER) {
      const target_path = inlineTargetPath(dataDir, pod, entry.name);
      await session.call("Node", "NodeUnpublishVolume", { volume_id: inlineVolumeId(pod, entry.name), target_path });
      await removeEmpty(dataDir, dirname(target_path));
      continue;
    }
    const claimName = claimNameOf(pod, entry);
    const claim = claimName && session.store.get("PersistentVolumeClaim", pod.metadata.namespace, claimName);
    const volume = claim ? volumeOf(session, claim) : undefined;
    if (!volume || !isOurs(volume)) continue;
    const volume_id = volume.spec.csi.volumeHandle;
    if (!session.store.get("VolumeAttachment", "", attachmentName(volume_id, session.node.id))) continue;
    const target_path = targetPath(dataDir, pod, volume);
    await session.call("Node", "NodeUnpublishVolume", { volume_id, target_path });
    await removeEmpty(dataDir, dirname(target_path));
  }
  await removeEmpty(dataDir, podFolder(dataDir, pod));
}
