import type {
  _csi_v1_VolumeCapability_AccessMode_Mode as Mode,
  VolumeCapability,
} from "../../proto/gen/csi/v1/VolumeCapability.js";
import type { K8sAccessMode, PersistentVolume, VolumeMode } from "./objects.js";

/** As external-provisioner maps them for a driver that has SINGLE_NODE_MULTI_WRITER. */
const CSI_MODE = {
  ReadWriteOnce: "SINGLE_NODE_MULTI_WRITER",
  ReadWriteOncePod: "SINGLE_NODE_SINGLE_WRITER",
  ReadOnlyMany: "MULTI_NODE_READER_ONLY",
  ReadWriteMany: "MULTI_NODE_MULTI_WRITER",
} as const satisfies Record<K8sAccessMode, Mode>;

// The widest that was asked for, as external-attacher chooses the one mode that a volume is attached with.
const WIDEST_FIRST: readonly K8sAccessMode[] = ["ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce", "ReadWriteOncePod"];

export interface CapabilityWish {
  accessModes: readonly K8sAccessMode[];
  volumeMode: VolumeMode;
  fsType: string;
  mountOptions: readonly string[];
}

function capability(wish: CapabilityWish, mode: K8sAccessMode, group = ""): VolumeCapability {
  const access_mode = { mode: CSI_MODE[mode] };
  if (wish.volumeMode === "Block") return { block: {}, access_mode };
  const mount = { fs_type: wish.fsType, mount_flags: [...wish.mountOptions], volume_mount_group: group };
  return { mount, access_mode };
}

/** One capability for each access mode of a claim: a volume must honour all of them. */
export function claimCapabilities(wish: CapabilityWish): VolumeCapability[] {
  return wish.accessModes.map((mode) => capability(wish, mode));
}

/** The capability that a volume is attached and mounted with. `group`: fsGroup, when the pod has one. */
export function volumeCapability(volume: PersistentVolume, group = ""): VolumeCapability {
  const { accessModes, volumeMode, mountOptions, csi } = volume.spec;
  const mode = WIDEST_FIRST.find((known) => accessModes.includes(known)) ?? "ReadWriteOnce";
  return capability({ accessModes, volumeMode, fsType: csi.fsType, mountOptions }, mode, group);
}
