import * as fs from "node:fs/promises";
import { fileIdentity } from "./loop.js";
import { listMounts, type MountEntry } from "./mount.js";

export interface ImageUser {
  device: string;
  /** One mount point of the file system that is mounted from the device, or null. */
  mountPoint: string | null;
}

const DELETED = " (deleted)";

/**
 * The loop devices on an image and where they are mounted, from sysfs and mountinfo: no process. Needed while a file
 * system is frozen, when starting a program could itself block. A device is known by its file's device and inode, so
 * that a path through a symlink is no other file; one whose file is deleted, by the path it had.
 */
export async function imageUsers(imagePath: string): Promise<ImageUser[]> {
  const identity = await fileIdentity(imagePath).catch(() => undefined);
  const [folder = "", file = ""] = imagePath.split("/").slice(-2);
  const devices: string[] = [];
  for (const name of (await fs.readdir("/sys/block")).filter((block) => block.startsWith("loop"))) {
    const text = await fs.readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "");
    const backing = text.replace(/\n$/, "");
    // Its folder has the volume's id for a name, by whatever path: the other volumes' files need not be looked at.
    if (!backing.replace(DELETED, "").endsWith(`/${folder}/${file}`)) continue;
    if (await isImage(backing, imagePath, identity)) devices.push(name);
  }
  if (devices.length === 0) return [];
  const mounts = await listMounts();
  return Promise.all(
    devices.map(async (name) => {
      const number = (await fs.readFile(`/sys/block/${name}/dev`, "utf8")).trim();
      return { device: `/dev/${name}`, mountPoint: mountOf(mounts, number, `/dev/${name}`) };
    }),
  );
}

async function isImage(backing: string, imagePath: string, identity: string | undefined): Promise<boolean> {
  if (backing === imagePath || backing === `${imagePath}${DELETED}`) return true;
  if (identity === undefined || backing.endsWith(DELETED)) return false;
  return (await fileIdentity(backing).catch(() => undefined)) === identity;
}

// btrfs shows an anonymous device number, so the source's name is compared too.
function mountOf(mounts: readonly MountEntry[], deviceNumber: string, device: string): string | null {
  const found = mounts.find(
    (entry) => entry.fsType !== "devtmpfs" && (entry.majorMinor === deviceNumber || entry.source === device),
  );
  return found?.mountPoint ?? null;
}
