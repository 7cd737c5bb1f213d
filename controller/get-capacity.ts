import type { GetCapacityRequest__Output } from "../proto/gen/csi/v1/GetCapacityRequest.js";
import type { GetCapacityResponse } from "../proto/gen/csi/v1/GetCapacityResponse.js";
import type { Context } from "../src/engines/types.js";
import { type ControllerDeps, TOPOLOGY_KEY } from "./deps.js";
import { parseKind, parseParameters } from "./parameters.js";
import { defaultKind, parseCapability, unsupported } from "./validation.js";

/** CSI GetCapacity: what may still be promised; nothing for a topology or a capability that is not served here. */
export async function getCapacity(
  deps: ControllerDeps,
  ctx: Context,
  request: GetCapacityRequest__Output,
): Promise<GetCapacityResponse> {
  const capabilities = request.volume_capabilities.map((one, i) => parseCapability(`volume_capabilities[${i}]`, one));
  const kind = parseKind(request.parameters) ?? defaultKind(capabilities);
  const engine = deps.engines.forClass(request.parameters, kind);
  parseParameters(request.parameters, {}, engine);
  engine.checkParameters(request.parameters, kind);
  const nodeIds = await engine.nodeIds(ctx);
  const node = Object.entries(request.accessible_topology?.segments ?? {}).find(
    ([key]) => key.toLowerCase() === TOPOLOGY_KEY,
  )?.[1];
  if (
    (node !== undefined && nodeIds !== null && !nodeIds.includes(node)) ||
    capabilities.some((c) => unsupported(c, kind) !== null)
  ) {
    return { available_capacity: "0" };
  }
  const capacity = await engine.capacity(ctx, request.parameters);
  return {
    available_capacity: String(capacity.availableBytes),
    maximum_volume_size: { value: String(capacity.maximumVolumeBytes) },
    minimum_volume_size: { value: String(capacity.minimumVolumeBytes) },
  };
}
