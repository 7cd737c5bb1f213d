import type { ControllerExpandVolumeRequest__Output } from "../proto/gen/csi/v1/ControllerExpandVolumeRequest.js";
import type { ControllerExpandVolumeResponse } from "../proto/gen/csi/v1/ControllerExpandVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { invalid } from "../src/errors/storage-error.js";
import { type ControllerDeps, findVolume } from "./deps.js";
import { chooseSize, parseCapability, parseRange, requireId } from "./validation.js";

/** CSI ControllerExpandVolume: large enough already is OK. The node makes device and file system follow. */
export async function expandVolume(
  deps: ControllerDeps,
  ctx: Context,
  request: ControllerExpandVolumeRequest__Output,
): Promise<ControllerExpandVolumeResponse> {
  const id = requireId("volume_id", request.volume_id);
  if (!request.capacity_range) throw invalid("capacity_range is required");
  const range = parseRange(request.capacity_range);
  if (range.requiredBytes === 0n && range.limitBytes === 0n)
    throw invalid("capacity_range needs required_bytes or limit_bytes");
  if (request.volume_capability) parseCapability("volume_capability", request.volume_capability);
  return deps.locks.run([id], `ControllerExpandVolume ${id}`, async () => {
    const { engine, volume } = await findVolume(deps, ctx, id);
    const wanted = range.requiredBytes > volume.capacityBytes ? range.requiredBytes : volume.capacityBytes;
    const size = chooseSize({ ...range, requiredBytes: wanted }, "", 0n, engine.largestVolumeBytes);
    const grown = await engine.expand(ctx, id, size);
    return { capacity_bytes: String(grown.capacityBytes), node_expansion_required: engine.expandsOnNode };
  });
}
