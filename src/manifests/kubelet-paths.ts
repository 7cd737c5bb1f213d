import { createHash } from "node:crypto";
import { rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { PersistentVolume, Pod } from "./objects.js";

/** The CSI driver that these objects are acted on for. */
export const DRIVER = "csi.granary.dev";

/** As kubelet and the attach/detach controller name things. */
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const csiFolder = (dataDir: string) => join(dataDir, "kubelet", "plugins", "kubernetes.io", "csi");

/** Where kubelet stages a volume: one folder a volume, whatever pods use it. */
export function stagingPath(dataDir: string, volume: PersistentVolume): string {
  return volume.spec.volumeMode === "Block"
    ? join(csiFolder(dataDir), "volumeDevices", "staging", volume.metadata.name)
    : join(csiFolder(dataDir), DRIVER, sha256(volume.spec.csi.volumeHandle), "globalmount");
}

/** Where kubelet has a volume published for one pod: a folder, or for Block a device file. */
export function targetPath(dataDir: string, pod: Pod, volume: PersistentVolume): string {
  return volume.spec.volumeMode === "Block"
    ? join(csiFolder(dataDir), "volumeDevices", "publish", volume.metadata.name, pod.metadata.uid)
    : mountPath(dataDir, pod, volume.metadata.name);
}

/** An inline volume has no PersistentVolume: its folder is named after the pod's own name for it. */
export const inlineTargetPath = (dataDir: string, pod: Pod, volumeName: string) => mountPath(dataDir, pod, volumeName);

function mountPath(dataDir: string, pod: Pod, name: string): string {
  return join(podFolder(dataDir, pod), "volumes", "kubernetes.io~csi", name, "mount");
}

export const podFolder = (dataDir: string, pod: Pod) => join(dataDir, "kubelet", "pods", pod.metadata.uid);

/** kubelet's id of an inline volume: it depends on the pod's uid, so a pod made again gets an empty volume. */
export const inlineVolumeId = (pod: Pod, volumeName: string) => `csi-${sha256(pod.metadata.uid + volumeName)}`;

/** The attach/detach controller's name for "this volume on this node". */
export const attachmentName = (volumeHandle: string, nodeName: string) =>
  `csi-${sha256(volumeHandle + DRIVER + nodeName)}`;

/** A group snapshot's member is found again by its name after a crash. */
export const memberName = (groupUid: string, volumeUid: string) => `snapshot-${sha256(groupUid + volumeUid)}`;

/** Removes a folder and its parents up to the kubelet's own, as far as they are empty: never anything in them. */
export async function removeEmpty(dataDir: string, folder: string): Promise<void> {
  const top = join(dataDir, "kubelet");
  for (let path = folder; path.startsWith(`${top}/`); path = dirname(path)) {
    try {
      await rmdir(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") continue;
      if (code === "ENOTEMPTY" || code === "EBUSY" || code === "ENOTDIR") return;
      throw error;
    }
  }
}
