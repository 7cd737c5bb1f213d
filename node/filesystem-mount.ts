import { chmod, chown, mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { StorageError } from "../src/errors/storage-error.js";
import type { FsType } from "../src/model/volume.js";
import type { Exec } from "../src/os/exec.js";
import { checkFilesystem } from "../src/os/fsck.js";
import { listMounts, mountDevice } from "../src/os/mount.js";
import { filesystemBytes, growExt4Offline, growFilesystem } from "../src/os/resize.js";

export interface MountPlan {
  device: string;
  deviceBytes: bigint;
  path: string;
  fsType: FsType;
  /** Made a moment ago: it is neither damaged nor too small. */
  fresh: boolean;
  /** Settles when what says so is on disk: awaited before anything can be written to it. */
  recorded: Promise<void>;
  readonly: boolean;
  flags: readonly string[];
}

/** The options that Granary itself adds to a filesystem's mount. Pure. */
export function mountOptions(fsType: FsType, readonly: boolean): string[] {
  // A clone has its source's UUID, and XFS refuses to mount both.
  return [...(readonly ? ["ro"] : []), ...(fsType === "xfs" ? ["nouuid"] : [])];
}

/** Less than this cannot be used by any of the filesystems (an ext4 group tail, an XFS or btrfs minimum unit). */
const SLACK_BYTES = 1024n * 1024n;

/** Checks, mounts and, where the device has become larger than the filesystem, grows it. */
export async function mountFilesystem(exec: Exec, signal: AbortSignal, plan: MountPlan): Promise<void> {
  const mounted = (await listMounts()).some((entry) => entry.source === plan.device);
  // Growing a mounted ext4 needs CAP_SYS_RESOURCE, which a confined node plugin may not have: it is grown before.
  const growFirst = !plan.fresh && !mounted && !plan.readonly && plan.fsType === "ext4" && (await isSmaller(plan));
  if (!plan.fresh && !mounted) await checkFilesystem(exec, signal, plan.device, plan.fsType, growFirst);
  if (growFirst) await growExt4Offline(exec, signal, plan.device);
  await makeFolder(plan.path);
  const { device, path, fsType, flags } = plan;
  const own = mountOptions(fsType, plan.readonly);
  await Promise.all([mountDevice(exec, signal, { device, path, fsType, own, flags }), plan.recorded]);
  if (!plan.fresh && !plan.readonly)
    await growIfSmaller(exec, signal, { device, mountPoint: path, fsType, deviceBytes: plan.deviceBytes });
}

export async function growIfSmaller(
  exec: Exec,
  signal: AbortSignal,
  what: { device: string; mountPoint: string; fsType: FsType; deviceBytes: bigint },
): Promise<void> {
  if (!(await isSmaller(what))) return;
  await growFilesystem(exec, signal, what);
}

async function isSmaller(what: { device: string; fsType: FsType; deviceBytes: bigint }): Promise<boolean> {
  return (await filesystemBytes(what.device, what.fsType)) + SLACK_BYTES <= what.deviceBytes;
}

const SETGID_GROUP_RWX = 0o2070;

/**
 * Gives the filesystem's root folder to the group, once: files that are made in it later inherit the group. Nothing
 * below it is walked, which would take minutes on a large volume.
 */
export async function applyMountGroup(root: string, group: string): Promise<void> {
  if (group === "") return;
  const found = await stat(root);
  const gid = Number(group);
  const mode = found.mode & 0o7777;
  if (found.gid !== gid) await chown(root, found.uid, gid);
  // After chown, which clears the setgid bit for some callers.
  if (found.gid !== gid || (mode & SETGID_GROUP_RWX) !== SETGID_GROUP_RWX) await chmod(root, mode | SETGID_GROUP_RWX);
}

export async function makeMountPoint(path: string, kind: "folder" | "file"): Promise<void> {
  if (kind === "folder") {
    await makeFolder(path);
    return;
  }
  await makeFolder(dirname(path));
  await (await open(path, "a", 0o640)).close();
}

/** @throws StorageError failed-precondition when the path's parents do not let it be made */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o750 });
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!["ENOTDIR", "EEXIST", "ENOENT", "EROFS", "EACCES", "EPERM", "ELOOP"].includes(code)) throw error;
    throw new StorageError("failed-precondition", `the folder ${path} cannot be made (${code}); look at its parents`, {
      cause: error,
    });
  }
}
