import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../../errors/storage-error.js";

/**
 * The folder that the local engine stores in: `volumes/<id>/image` and `snapshots/<id>/image`, each beside its
 * format record.
 */
export interface Pool {
  dir: string;
  /** Whether the file system shares extents between files: snapshots and clones then cost no copy. */
  reflink: boolean;
}

export const volumeDir = (pool: Pool, id: string) => join(pool.dir, "volumes", id);
export const snapshotDir = (pool: Pool, id: string) => join(pool.dir, "snapshots", id);
export const imageIn = (dir: string) => join(dir, "image");
export const formatIn = (dir: string) => join(dir, "format.json");

/** Makes the pool's folders and finds out, by trying, whether it has reflinks. */
export async function openPool(dir: string): Promise<Pool> {
  await fs.mkdir(join(dir, "volumes"), { recursive: true, mode: 0o700 });
  await fs.mkdir(join(dir, "snapshots"), { recursive: true, mode: 0o700 });
  const [from, to] = [join(dir, ".reflink-a"), join(dir, ".reflink-b")];
  try {
    await fs.writeFile(from, Buffer.alloc(4096, 1));
    await fs.rm(to, { force: true });
    const reflink = await fs.copyFile(from, to, constants.COPYFILE_FICLONE_FORCE).then(
      () => true,
      () => false,
    );
    return { dir, reflink };
  } finally {
    await fs.rm(from, { force: true });
    await fs.rm(to, { force: true });
  }
}

export interface PoolSpace {
  totalBytes: bigint;
  freeBytes: bigint;
}

export async function poolSpace(pool: Pool): Promise<PoolSpace> {
  const stat = await fs.statfs(pool.dir, { bigint: true });
  return { totalBytes: stat.blocks * stat.bsize, freeBytes: stat.bavail * stat.bsize };
}

/** @throws StorageError failed-precondition when the pool cannot be written to and synced */
export async function assertWritable(pool: Pool): Promise<void> {
  const path = join(pool.dir, `.probe-${process.pid}`);
  try {
    const file = await fs.open(path, "w", 0o600);
    try {
      await file.writeFile("probe");
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rm(path, { force: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new StorageError("failed-precondition", `the pool ${pool.dir} cannot be written to (${code})`, {
      cause: error,
    });
  }
}

/** Makes a folder's entries durable: creating, renaming or removing a file is so only after this. */
export async function syncDir(dir: string): Promise<void> {
  const handle = await fs.open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
