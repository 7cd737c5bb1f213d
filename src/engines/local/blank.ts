import type { BigIntStats } from "node:fs";
import { edgesAreZero } from "../../os/blkid.js";
import type { Exec } from "../../os/exec.js";
import { fileExtents } from "../../os/filefrag.js";
import { extentsAreZero, proveUnwritten } from "../blank.js";

/**
 * Proves that nothing was ever written to a volume but zeros (`proveUnwritten`): every extent of its image is read.
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
  await proveUnwritten(
    exec,
    signal,
    { volumeId, device },
    // Through the image and the device both: a page that the device still has in memory must not hide what is on disk.
    async () =>
      (await edgesAreZero(device, stat.size)) &&
      (await edgesAreZero(image, stat.size)) &&
      (await extentsAreZero(signal, image, stat.size, await fileExtents(exec, image, signal))),
  );
}
