import { constants, type FileHandle, lstat, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { Refusal } from "./session.js";

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * The host path of a subPath inside a published volume, its missing folders made. The volume's content is the
 * workload's, and hostile: each component is opened below the one before it and never through a symlink, so that no
 * link, and no rename during the walk, leads out of the volume.
 *
 * @throws Refusal for an absolute path, `..`, a symlink, or a file where a folder is needed
 */
export async function resolveSubPath(volumePath: string, subPath: string): Promise<string> {
  const refuse = (why: string) => new Refusal("FailedSubPath", `subPath ${JSON.stringify(subPath)}: ${why}`);
  const parts = subPath.split("/").filter((part) => part !== "" && part !== ".");
  if (subPath.startsWith("/") || parts.includes("..") || subPath.includes("\0"))
    throw refuse("must be relative and without ..");
  let folder: FileHandle = await open(volumePath, FOLDER);
  try {
    for (const [i, part] of parts.entries()) {
      const below = `/proc/self/fd/${folder.fd}/${part}`;
      const found = await lstat(below).catch(ifMissing);
      if (found?.isSymbolicLink()) throw refuse(`${part} is a symlink; it could lead out of the volume`);
      // A file alone may be mounted too, as the last component only.
      if (found?.isFile() && i === parts.length - 1) break;
      if (!found) await mkdir(below, 0o750).catch(unlessPresent);
      const next = await open(below, FOLDER).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ELOOP" || error.code === "ENOTDIR") throw refuse(`${part} is not a folder`);
        throw error;
      });
      await folder.close();
      folder = next;
    }
  } finally {
    await folder.close();
  }
  return join(volumePath, ...parts);
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

function unlessPresent(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
