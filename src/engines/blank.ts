import { open } from "node:fs/promises";
import { messageOf, StorageError } from "../errors/storage-error.js";
import { probeDevice } from "../os/blkid.js";
import type { Exec } from "../os/exec.js";
import type { Extent } from "./types.js";

const CHUNK_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);
const refuse = (message: string) => new StorageError("failed-precondition", message);

/**
 * Proves that nothing was ever written to a volume but zeros, so that it may be formatted: blkid recognises nothing on its
 * device, and `readsAsZero` says so of every byte that may be data. blkid's "nothing found" alone also means "cannot read" and
 * "a format that it does not know".
 *
 * @throws StorageError failed-precondition in every case of doubt; what the reading threw when the signal fired
 */
export async function proveUnwritten(
  exec: Exec,
  signal: AbortSignal,
  { volumeId, device }: { volumeId: string; device: string },
  readsAsZero: () => Promise<boolean>,
): Promise<void> {
  const probe = await probeDevice(exec, signal, device);
  if (probe.type)
    throw refuse(`volume ${volumeId} has no format record and holds ${probe.type}; it is never formatted over`);
  let blank: boolean;
  try {
    blank = await readsAsZero();
  } catch (error) {
    if (signal.aborted) throw error;
    throw refuse(`volume ${volumeId} cannot be read to prove it blank (${messageOf(error)}); it is not formatted`);
  }
  if (!blank) throw refuse(`volume ${volumeId} has no format record and holds data; it is never formatted over`);
}

/**
 * Whether all bytes of the extents are zero. One that reaches past `sizeBytes`, the end of the file or device, is cut there.
 *
 * @throws Error when the file ends before that: what cannot be read is not blank
 */
export async function extentsAreZero(
  signal: AbortSignal,
  path: string,
  sizeBytes: bigint,
  extents: readonly Extent[],
): Promise<boolean> {
  const file = await open(path, "r");
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    for (const { offsetBytes, lengthBytes } of extents) {
      const end = Number(offsetBytes + lengthBytes < sizeBytes ? offsetBytes + lengthBytes : sizeBytes);
      for (let at = Number(offsetBytes); at < end; ) {
        if (signal.aborted)
          throw new StorageError("deadline-exceeded", "the proof of blankness did not end before the deadline");
        const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, end - at), at);
        if (bytesRead === 0) throw new Error(`${path} ends at ${at} of ${sizeBytes} bytes`);
        if (ZEROS.compare(buffer, 0, bytesRead, 0, bytesRead) !== 0) return false;
        at += bytesRead;
      }
    }
    return true;
  } finally {
    await file.close();
  }
}
