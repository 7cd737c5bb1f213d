import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../errors/storage-error.js";
import { toolPath } from "./exec.js";

/** What every volume needs, and the Debian package that holds it. */
const TOOLS = {
  losetup: "mount",
  mount: "mount",
  umount: "mount",
  blkid: "util-linux",
  blockdev: "util-linux",
  fallocate: "util-linux",
  fsfreeze: "util-linux",
  fstrim: "util-linux",
  "mkfs.ext4": "e2fsprogs",
  e2fsck: "e2fsprogs",
  resize2fs: "e2fsprogs",
  filefrag: "e2fsprogs",
} as const;

/**
 * Looks for the tools in PATH, as `exec` would; starts none of them.
 *
 * @throws StorageError failed-precondition naming those that are missing, and the command that installs them
 */
export async function assertTools(): Promise<void> {
  const folders = toolPath()
    .split(":")
    .filter((folder) => folder !== "");
  const missing: (keyof typeof TOOLS)[] = [];
  for (const tool of Object.keys(TOOLS) as (keyof typeof TOOLS)[]) if (!(await isIn(folders, tool))) missing.push(tool);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => TOOLS[tool]))].join(" ");
  throw new StorageError(
    "failed-precondition",
    `missing on this host: ${missing.join(", ")}; install them: apt-get install ${packages}`,
  );
}

async function isIn(folders: readonly string[], tool: string): Promise<boolean> {
  for (const folder of folders) {
    const found = await access(join(folder, tool), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
