import { open } from "node:fs/promises";
import { messageOf, StorageError } from "../../../errors/storage-error.js";
import { edgesAreZero, probeDevice } from "../../../os/blkid.js";
import type { Exec } from "../../../os/exec.js";
import type { Context, Extent } from "../../types.js";

const CHUNK_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);
const refuse = (message: string) => new StorageError("failed-precondition", message);

/**
 * Proves that nothing was ever written to an image but zeros, so that it may be formatted: blkid recognises nothing, and
 * every extent that the cluster holds data of reads as zeros.
 *
 * @param extents as `rbd diff` answers them: all that may be anything but zeros
 * @throws StorageError failed-precondition in every case of doubt
 */
export async function proveDeviceBlank(
  exec: Exec,
  ctx: Context,
  { volumeId, device, sizeBytes }: { volumeId: string; device: string; sizeBytes: bigint },
  extents: readonly Extent[],
): Promise<void> {
  // What the page cache has from before must not hide what the cluster holds.
  await exec("blockdev", ["--flushbufs", device], { signal: ctx.signal });
  const probe = await probeDevice(exec, ctx.signal, device);
  if (probe.type)
    throw refuse(`volume ${volumeId} has no format record and holds ${probe.type}; it is never formatted over`);
  let blank: boolean;
  try {
    blank = (await edgesAreZero(device, sizeBytes)) && (await areZero(ctx, device, sizeBytes, extents));
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    throw refuse(`volume ${volumeId} cannot be read to prove it blank (${messageOf(error)}); it is not formatted`);
  }
  if (!blank) throw refuse(`volume ${volumeId} has no format record and holds data; it is never formatted over`);
}

async function areZero(ctx: Context, device: string, sizeBytes: bigint, extents: readonly Extent[]): Promise<boolean> {
  const file = await open(device, "r");
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    for (const { offsetBytes, lengthBytes } of extents) {
      // An object may reach past the image's end.
      const end = offsetBytes + lengthBytes < sizeBytes ? Number(offsetBytes + lengthBytes) : Number(sizeBytes);
      for (let at = Number(offsetBytes); at < end; ) {
        if (ctx.signal.aborted)
          throw new StorageError("deadline-exceeded", "the proof of blankness did not end before the deadline");
        const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, end - at), at);
        if (bytesRead === 0) throw new Error(`${device} ends at ${at} of ${sizeBytes} bytes`);
        if (ZEROS.compare(buffer, 0, bytesRead, 0, bytesRead) !== 0) return false;
        at += bytesRead;
      }
    }
    return true;
  } finally {
    await file.close();
  }
}
