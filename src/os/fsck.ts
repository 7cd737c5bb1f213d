import type { FsType } from "../model/volume.js";
import type { Exec } from "./exec.js";

/** 1: errors were corrected; 2: they were, and a mounted root would want a reboot (e2fsck(8)). */
const E2FSCK_CLEAN = [0, 1, 2];

/**
 * Replays the journal and repairs what is safe to repair, on an unmounted device. XFS and btrfs do this when they are
 * mounted; their fsck programs do nothing by design. `full` checks what looks clean too: resize2fs asks for it offline.
 */
export async function checkFilesystem(
  exec: Exec,
  signal: AbortSignal,
  device: string,
  fsType: FsType,
  full = false,
): Promise<void> {
  if (fsType !== "ext4") return;
  await exec("e2fsck", [...(full ? ["-f"] : []), "-p", device], { signal, okCodes: E2FSCK_CLEAN });
}

/** Gives a copied btrfs its own identity: the kernel takes two devices of one UUID for one filesystem. */
export async function renewBtrfsUuid(exec: Exec, signal: AbortSignal, device: string, uuid: string): Promise<void> {
  await exec("btrfstune", ["-f", "-M", uuid, device], { signal });
}
