import type { DeleteVolumeRequest__Output } from "../proto/gen/csi/v1/DeleteVolumeRequest.js";
import type { DeleteVolumeResponse } from "../proto/gen/csi/v1/DeleteVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { StorageError } from "../src/errors/storage-error.js";
import type { ControllerDeps } from "./deps.js";
import { requireId } from "./validation.js";

/** CSI DeleteVolume: gone is OK; a published volume is refused by name of its node. */
export async function deleteVolume(
  deps: ControllerDeps,
  ctx: Context,
  request: DeleteVolumeRequest__Output,
): Promise<DeleteVolumeResponse> {
  const id = requireId("volume_id", request.volume_id);
  return deps.locks.run([id], `DeleteVolume ${id}`, async () => {
    const engine = deps.engines.forId(id);
    const holder = (await engine?.get(ctx, id))?.publications[0];
    if (holder)
      throw new StorageError("failed-precondition", `volume ${id} is still published to node ${holder.nodeId}`);
    await engine?.delete(ctx, id);
    return {};
  });
}
