import type { ControllerGetVolumeRequest__Output } from "../proto/gen/csi/v1/ControllerGetVolumeRequest.js";
import type { ControllerGetVolumeResponse } from "../proto/gen/csi/v1/ControllerGetVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { notFound } from "../src/errors/storage-error.js";
import type { ControllerDeps } from "./deps.js";
import { volumeMessage } from "./messages.js";
import { requireId } from "./validation.js";

/** CSI ControllerGetVolume: the volume, its nodes, and its condition. */
export async function getVolume(
  deps: ControllerDeps,
  _ctx: Context,
  request: ControllerGetVolumeRequest__Output,
): Promise<ControllerGetVolumeResponse> {
  const id = requireId("volume_id", request.volume_id);
  const volume = deps.engine.get(id);
  if (!volume) throw notFound(`volume ${id} does not exist`);
  return {
    volume: volumeMessage(volume, deps.nodeIds),
    status: {
      published_node_ids: volume.publications.map((p) => p.nodeId),
      volume_condition: await deps.engine.condition(id),
    },
  };
}
