import type { ControllerUnpublishVolumeRequest__Output } from "../proto/gen/csi/v1/ControllerUnpublishVolumeRequest.js";
import type { ControllerUnpublishVolumeResponse } from "../proto/gen/csi/v1/ControllerUnpublishVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import type { ControllerDeps } from "./deps.js";
import { requireId } from "./validation.js";

/** CSI ControllerUnpublishVolume: an empty node id means all nodes; unknown volumes and nodes are OK. */
export async function unpublishVolume(
  deps: ControllerDeps,
  ctx: Context,
  request: ControllerUnpublishVolumeRequest__Output,
): Promise<ControllerUnpublishVolumeResponse> {
  const id = requireId("volume_id", request.volume_id);
  return deps.locks.run([id], `ControllerUnpublishVolume ${id}`, async () => {
    const engine = deps.engines.forId(id);
    if (await engine?.get(ctx, id)) await engine?.unpublish(ctx, id, request.node_id);
    return {};
  });
}
