import type { ControllerModifyVolumeRequest__Output } from "../proto/gen/csi/v1/ControllerModifyVolumeRequest.js";
import type { ControllerModifyVolumeResponse } from "../proto/gen/csi/v1/ControllerModifyVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { type ControllerDeps, findVolume } from "./deps.js";
import { checkMutable } from "./parameters.js";
import { requireId } from "./validation.js";

/** CSI ControllerModifyVolume: all keys or none; absent keys keep their value. */
export async function modifyVolume(
  deps: ControllerDeps,
  ctx: Context,
  request: ControllerModifyVolumeRequest__Output,
): Promise<ControllerModifyVolumeResponse> {
  const id = requireId("volume_id", request.volume_id);
  return deps.locks.run([id], `ControllerModifyVolume ${id}`, async () => {
    const { engine, volume } = await findVolume(deps, ctx, id);
    checkMutable(request.mutable_parameters, engine);
    engine.checkMutable(request.mutable_parameters, volume.kind);
    await engine.modify(ctx, id, request.mutable_parameters);
    return {};
  });
}
