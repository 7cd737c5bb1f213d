import { edgesAreZero } from "../../../os/blkid.js";
import type { Exec } from "../../../os/exec.js";
import { extentsAreZero, proveUnwritten } from "../../blank.js";
import type { Context, Extent } from "../../types.js";

/**
 * Proves that nothing was ever written to an image but zeros (`proveUnwritten`): every extent that the cluster holds data of
 * is read.
 *
 * @param extents as `rbd diff` answers them: all that may be anything but zeros
 * @throws StorageError failed-precondition in every case of doubt
 */
export async function proveDeviceBlank(
  exec: Exec,
  { signal }: Context,
  { volumeId, device, sizeBytes }: { volumeId: string; device: string; sizeBytes: bigint },
  extents: readonly Extent[],
): Promise<void> {
  // What the page cache has from before must not hide what the cluster holds.
  await exec("blockdev", ["--flushbufs", device], { signal });
  await proveUnwritten(
    exec,
    signal,
    { volumeId, device },
    async () => (await edgesAreZero(device, sizeBytes)) && (await extentsAreZero(signal, device, sizeBytes, extents)),
  );
}
