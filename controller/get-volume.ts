import type { ControllerGetVolumeRequest__Output } from "../proto/gen/csi/v1/ControllerGetVolumeRequest.js";
import type { ControllerGetVolumeResponse } from "../proto/gen/csi/v1/ControllerGetVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { type ControllerDeps, findVolume } from "./deps.js";
import { volumeMessage } from "./messages.js";
import { requireId } from "./validation.js";

/** CSI ControllerGetVolume: the volume, its nodes, and its condition. */
export async function getVolume(
  deps: ControllerDeps,
  ctx: Context,
  request: ControllerGetVolumeRequest__Output,
): Promise<ControllerGetVolumeResponse> {
  const id = requireId("volume_id", request.volume_id);
  const { engine, volume } = await findVolume(deps, ctx, id);
  return {
    volume: await volumeMessage(ctx, engine, volume),
    status: {
      published_node_ids: volume.publications.map((p) => p.nodeId),
      volume_condition: await engine.condition(ctx, id),
    },
  };
}
