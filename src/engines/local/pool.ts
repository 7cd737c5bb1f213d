import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { StorageError } from "../../errors/storage-error.js";
import { readIfPresent, writeDurably } from "../../os/durable-file.js";

/**
 * The folder that the local engine stores in: `volumes/<id>/image` and `snapshots/<id>/image`, each beside its format
 * record; `new/<id>`, a volume that is being made; `trash/<id>`, what is being removed; and `granary-pool.json`, the marker by which the pool is known again.
 */
export interface Pool {
  dir: string;
  /** In the pool's marker and in the registry: an unmounted pool's empty folder is not taken for the pool. */
  uuid: string;
  /** Whether the file system shares extents between files: snapshots and clones then cost no copy. */
  reflink: boolean;
}

export const volumeDir = (pool: Pick<Pool, "dir">, id: string) => join(pool.dir, "volumes", id);
export const snapshotDir = (pool: Pick<Pool, "dir">, id: string) => join(pool.dir, "snapshots", id);
export const newDir = (pool: Pick<Pool, "dir">, id: string) => join(pool.dir, "new", id);
export const trashDir = (pool: Pick<Pool, "dir">, id: string) => join(pool.dir, "trash", id);
export const imageIn = (dir: string) => join(dir, "image");
export const formatIn = (dir: string) => join(dir, "format.json");

const Marker = z.object({ version: z.literal(1), uuid: z.string().min(1), reflink: z.boolean() });
const markerPath = (dir: string) => join(dir, "granary-pool.json");
const refuse = (message: string) => new StorageError("failed-precondition", message);

/**
 * The pool of this marker, or undefined where there is none.
 *
 * @throws StorageError failed-precondition when the marker cannot be understood
 */
export async function readPool(dir: string): Promise<Pool | undefined> {
  const text = await readIfPresent(markerPath(dir));
  if (text === undefined) return undefined;
  try {
    const { uuid, reflink } = Marker.parse(JSON.parse(text));
    return { dir, uuid, reflink };
  } catch (cause) {
    throw new StorageError("failed-precondition", `the pool's marker ${markerPath(dir)} is damaged`, { cause });
  }
}

/**
 * Opens the pool that the registry knows, or with `""` makes a new one, or takes one that nobody stored in yet.
 *
 * @throws StorageError failed-precondition when the folder is not that pool: it may be unmounted
 */
export async function openPool(dir: string, uuid: string): Promise<Pool> {
  await fs.mkdir(dir, { recursive: true, mode: 0o700 });
  const found = await readPool(dir);
  if (uuid !== "") await assertPool({ dir, uuid });
  else if (found && (await holdsImages(dir)))
    throw refuse(
      `the pool ${dir} holds the volumes of another registry (pool ${found.uuid}): restore that registry, or name another --pool-dir`,
    );
  for (const part of ["volumes", "snapshots", "new", "trash"])
    await fs.mkdir(join(dir, part), { recursive: true, mode: 0o700 });
  if (found) return found;
  const reflink = await hasReflinks(dir);
  const pool = { dir, uuid: randomUUID(), reflink };
  await writeDurably(markerPath(dir), `${JSON.stringify({ version: 1, uuid: pool.uuid, reflink })}\n`);
  return pool;
}

/**
 * Proves that the pool is where it was: nothing must be made in, or read from, the folder below its mount point.
 *
 * @throws StorageError failed-precondition
 */
export async function assertPool(pool: Pick<Pool, "dir" | "uuid">): Promise<void> {
  const found = await readPool(pool.dir);
  if (found?.uuid === pool.uuid) return;
  throw refuse(
    found
      ? `the pool at ${pool.dir} is ${found.uuid}, not ${pool.uuid}, which the registry knows`
      : `the pool is not at ${pool.dir}: its marker is missing. Is the pool mounted?`,
  );
}

async function holdsImages(dir: string): Promise<boolean> {
  for (const part of ["volumes", "snapshots"])
    if ((await fs.readdir(join(dir, part)).catch(() => [])).length > 0) return true;
  return false;
}

/** Finds out by trying. */
async function hasReflinks(dir: string): Promise<boolean> {
  const [from, to] = [join(dir, ".reflink-a"), join(dir, ".reflink-b")];
  try {
    await fs.writeFile(from, Buffer.alloc(4096, 1));
    await fs.rm(to, { force: true });
    return await fs.copyFile(from, to, constants.COPYFILE_FICLONE_FORCE).then(
      () => true,
      () => false,
    );
  } finally {
    await fs.rm(from, { force: true });
    await fs.rm(to, { force: true });
  }
}

export interface PoolSpace {
  totalBytes: bigint;
  freeBytes: bigint;
}

export async function poolSpace(pool: Pick<Pool, "dir">): Promise<PoolSpace> {
  const stat = await fs.statfs(pool.dir, { bigint: true });
  return { totalBytes: stat.blocks * stat.bsize, freeBytes: stat.bavail * stat.bsize };
}

/** @throws StorageError failed-precondition when the pool is not there, or cannot be written to and synced */
export async function assertWritable(pool: Pool): Promise<void> {
  await assertPool(pool);
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
