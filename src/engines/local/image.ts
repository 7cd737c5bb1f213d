import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import { dirname } from "node:path";
import { StorageError } from "../../errors/storage-error.js";
import type { Exec } from "../../os/exec.js";
import { fileExtents } from "../../os/filefrag.js";
import { step } from "../../runtime/steps.js";
import type { Context } from "../types.js";
import { formatIn, imageIn, newDir, type Pool, syncDir, trashDir, volumeDir } from "./pool.js";

const COPY_CHUNK_BYTES = 4 * 1024 * 1024;

/** Makes `dir` with an empty image of `sizeBytes` in it, durably. */
export async function makeImage(
  ctx: Context,
  exec: Exec,
  dir: string,
  sizeBytes: bigint,
  thick: boolean,
): Promise<void> {
  await translateFull(async () => {
    await fs.mkdir(dir, { mode: 0o700 });
    step("image/folder-made");
    await (await fs.open(imageIn(dir), "wx", 0o600)).close();
    // Empty: no format record yet. Its folder is synced with the image, and a node then only writes into it.
    await (await fs.open(formatIn(dir), "wx", 0o600)).close();
    await resizeImage(ctx, exec, dir, sizeBytes, thick);
    step("image/sized");
    await syncDir(dirname(dir));
  });
}

/**
 * Sets the image's length, and with `thick` reserves every byte of it. Durable when it returns.
 *
 * @throws StorageError failed-precondition when there is no image: one that is lost is never replaced by an empty one
 */
export async function resizeImage(
  ctx: Context,
  exec: Exec,
  dir: string,
  sizeBytes: bigint,
  thick: boolean,
): Promise<void> {
  await translateFull(async () => {
    const file = await fs.open(imageIn(dir), "r+");
    try {
      await file.truncate(Number(sizeBytes));
      if (thick) await exec("fallocate", ["--length", String(sizeBytes), imageIn(dir)], { signal: ctx.signal });
      await file.sync();
    } finally {
      await file.close();
    }
    await syncDir(dir);
  });
}

/**
 * Makes `toDir` with a copy of `fromDir`'s image and format record. With reflinks this shares extents; without, it
 * copies the allocated ones.
 */
export async function cloneImage(ctx: Context, exec: Exec, pool: Pool, fromDir: string, toDir: string): Promise<void> {
  await translateFull(async () => {
    await fs.access(imageIn(fromDir));
    await fs.mkdir(toDir, { mode: 0o700 });
    if (pool.reflink) await fs.copyFile(imageIn(fromDir), imageIn(toDir), constants.COPYFILE_FICLONE_FORCE);
    else await copyExtents(ctx, exec, imageIn(fromDir), imageIn(toDir));
    step("image/copied");
    await fs.chmod(imageIn(toDir), 0o600);
    await copyFormatRecord(fromDir, toDir);
    const file = await fs.open(imageIn(toDir), "r+");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await syncDir(toDir);
    await syncDir(dirname(toDir));
  });
}

// A copy whose source was never formatted here holds bytes of unknown kind, which "foreign" keeps a node from formatting;
// unless not one of its blocks was ever written.
async function copyFormatRecord(fromDir: string, toDir: string): Promise<void> {
  let record = await fs.readFile(formatIn(fromDir), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  if (record === "") {
    const { blocks } = await fs.stat(imageIn(toDir));
    record = JSON.stringify({ state: blocks === 0 ? "blank" : "foreign" });
  }
  const file = await fs.open(formatIn(toDir), "w", 0o600);
  try {
    await file.writeFile(record);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function copyExtents(ctx: Context, exec: Exec, from: string, to: string): Promise<void> {
  const extents = await fileExtents(exec, from, ctx.signal);
  const source = await fs.open(from, "r");
  const target = await fs.open(to, "wx", 0o600);
  try {
    const { size } = await source.stat();
    await target.truncate(size);
    const total = extents.reduce((sum, extent) => sum + extent.lengthBytes, 0n);
    const buffer = Buffer.allocUnsafe(COPY_CHUNK_BYTES);
    let copied = 0;
    let loggedMs = Date.now();
    for (const extent of extents) {
      const end = Math.min(Number(extent.offsetBytes + extent.lengthBytes), size);
      for (let at = Number(extent.offsetBytes); at < end; ) {
        if (ctx.signal.aborted)
          throw new StorageError("deadline-exceeded", "the copy did not end before the request's deadline");
        const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, end - at), at);
        if (bytesRead === 0) break;
        await target.write(buffer, 0, bytesRead, at);
        at += bytesRead;
        copied += bytesRead;
        if (Date.now() - loggedMs > 1000) {
          loggedMs = Date.now();
          ctx.log.info({ copiedBytes: copied, totalBytes: Number(total) }, "copying extents");
        }
      }
    }
  } finally {
    await source.close();
    await target.close();
  }
}

/**
 * Puts a volume that has been made, and recorded, where volumes are. Not synced: if a loss of power undoes it, recovery
 * does it again.
 */
export async function placeVolume(pool: Pool, id: string): Promise<void> {
  await translateFull(() => fs.rename(newDir(pool, id), volumeDir(pool, id)));
}

/**
 * Takes a volume's or snapshot's folder out of its place, in one step that happens or does not: on a pool that cannot be
 * written to it fails with the folder as it was.
 *
 * @param id the folder's own, unused in the trash
 */
export async function moveToTrash(pool: Pool, dir: string, id: string): Promise<void> {
  await translateFull(async () => {
    await fs.rename(dir, trashDir(pool, id)).catch((error: NodeJS.ErrnoException) => {
      // Lost already, by hand or by a delete that a crash interrupted.
      if (error.code !== "ENOENT") throw error;
    });
    await syncDir(dirname(dir));
    await syncDir(dirname(trashDir(pool, id)));
  });
}

/** The opposite of `moveToTrash`; a folder that was not moved stays where it is. */
export async function putBack(pool: Pool, dir: string, id: string): Promise<void> {
  // Looked for first: a read-only file system refuses a rename even of what is not there.
  const moved = await fs.lstat(trashDir(pool, id)).catch(() => undefined);
  if (moved) await fs.rename(trashDir(pool, id), dir);
}

/** Removes what was moved to the trash. Gone already is fine: recovery calls this twice. */
export async function emptyTrash(pool: Pool, id: string): Promise<void> {
  await translateFull(() => removeImage(trashDir(pool, id)));
}

/** Removes a volume's or snapshot's folder. Gone already is fine: recovery calls this twice. */
export async function removeImage(dir: string): Promise<void> {
  await fs.rm(dir, { recursive: true, force: true });
  await syncDir(dirname(dir));
}

async function translateFull<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StorageError) throw error;
    const text = `${(error as NodeJS.ErrnoException).code ?? ""} ${(error as Error).message}`;
    if (/ENOSPC|EDQUOT|No space left/.test(text)) {
      throw new StorageError("resource-exhausted", "the pool has no space left; free some or grow the pool", {
        cause: error,
      });
    }
    if (/EROFS|Read-only/.test(text)) {
      throw new StorageError("failed-precondition", "the pool's file system is read-only; look at the kernel's log", {
        cause: error,
      });
    }
    if (/ENOENT/.test(text)) {
      throw new StorageError("failed-precondition", "the volume's image is missing from the pool; run granary doctor", {
        cause: error,
      });
    }
    throw error;
  }
}
