import type { BigIntStats } from "node:fs";
import { open } from "node:fs/promises";
import { messageOf, StorageError } from "../../errors/storage-error.js";
import { edgesAreZero, probeDevice } from "../../os/blkid.js";
import type { Exec } from "../../os/exec.js";
import { type FileExtent, fileExtents } from "../../os/filefrag.js";

const CHUNK_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);
const refuse = (message: string) => new StorageError("failed-precondition", message);

/**
 * Proves that nothing was ever written to a volume but zeros, so that it may be formatted. blkid's "nothing found" also
 * means "cannot read" and "a format that it does not know": so every extent that holds written data is read as well.
 *
 * @throws StorageError failed-precondition in every case of doubt
 */
export async function proveBlank(
  exec: Exec,
  signal: AbortSignal,
  { volumeId, image, stat }: { volumeId: string; image: string; stat: BigIntStats },
  device: string,
): Promise<void> {
  // Not one block was ever allocated: all of it reads as zeros, and no probe could prove more.
  if (stat.blocks === 0n) return;
  const probe = await probeDevice(exec, signal, device);
  if (probe.type)
    throw refuse(`volume ${volumeId} has no format record and holds ${probe.type}; it is never formatted over`);
  let blank: boolean;
  try {
    // Through the image and the device both: a page that the device still has in memory must not hide what is on disk.
    blank =
      (await edgesAreZero(device, stat.size)) &&
      (await edgesAreZero(image, stat.size)) &&
      (await extentsAreZero(signal, image, await fileExtents(exec, image, signal)));
  } catch (error) {
    if (signal.aborted) throw error;
    throw refuse(`volume ${volumeId} cannot be read to prove it blank (${messageOf(error)}); it is not formatted`);
  }
  if (!blank) throw refuse(`volume ${volumeId} has no format record and holds data; it is never formatted over`);
}

async function extentsAreZero(signal: AbortSignal, image: string, extents: readonly FileExtent[]): Promise<boolean> {
  const file = await open(image, "r");
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    for (const { offsetBytes, lengthBytes } of extents) {
      const end = Number(offsetBytes + lengthBytes);
      for (let at = Number(offsetBytes); at < end; ) {
        if (signal.aborted)
          throw new StorageError("deadline-exceeded", "the proof of blankness did not end before the deadline");
        const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, end - at), at);
        // The last extent may reach past the end of the file.
        if (bytesRead === 0) break;
        if (ZEROS.compare(buffer, 0, bytesRead, 0, bytesRead) !== 0) return false;
        at += bytesRead;
      }
    }
    return true;
  } finally {
    await file.close();
  }
}
