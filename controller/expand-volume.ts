import type { ControllerExpandVolumeRequest__Output } from "../proto/gen/csi/v1/ControllerExpandVolumeRequest.js";
import type { ControllerExpandVolumeResponse } from "../proto/gen/csi/v1/ControllerExpandVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { invalid, notFound } from "../src/errors/storage-error.js";
import { ENGINE_LIMIT_BYTES } from "./create-volume.js";
import type { ControllerDeps } from "./deps.js";
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
    const volume = deps.engine.get(id);
    if (!volume) throw notFound(`volume ${id} does not exist`);
    const wanted = range.requiredBytes > volume.capacityBytes ? range.requiredBytes : volume.capacityBytes;
    const size = chooseSize({ ...range, requiredBytes: wanted }, "", 0n, ENGINE_LIMIT_BYTES);
    const grown = await deps.engine.expand(ctx, id, size);
    return { capacity_bytes: String(grown.capacityBytes), node_expansion_required: true };
  });
}
