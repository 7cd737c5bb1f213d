import type { ValidateVolumeCapabilitiesRequest__Output } from "../proto/gen/csi/v1/ValidateVolumeCapabilitiesRequest.js";
import type { ValidateVolumeCapabilitiesResponse } from "../proto/gen/csi/v1/ValidateVolumeCapabilitiesResponse.js";
import type { Context } from "../src/engines/types.js";
import { type ControllerDeps, findVolume } from "./deps.js";
import { volumeMessage } from "./messages.js";
import { parseCapabilities, requireId, unsupported } from "./validation.js";

/** CSI ValidateVolumeCapabilities: an unsupported one is not an error but an empty `confirmed` with a message. */
export async function validateVolumeCapabilities(
  deps: ControllerDeps,
  ctx: Context,
  request: ValidateVolumeCapabilitiesRequest__Output,
): Promise<ValidateVolumeCapabilitiesResponse> {
  const id = requireId("volume_id", request.volume_id);
  const capabilities = parseCapabilities(request.volume_capabilities);
  const { engine, volume } = await findVolume(deps, ctx, id);
  for (const capability of capabilities) {
    const reason = unsupported(capability, volume.kind);
    if (reason !== null) return { message: reason };
  }
  const context = (await volumeMessage(ctx, engine, volume)).volume_context ?? {};
  for (const [key, value] of Object.entries(request.volume_context)) {
    if (context[key] !== value) return { message: `volume_context: ${JSON.stringify(key)} is not what the volume has` };
  }
  return {
    confirmed: {
      volume_context: request.volume_context,
      volume_capabilities: request.volume_capabilities,
      parameters: request.parameters,
      mutable_parameters: request.mutable_parameters,
    },
  };
}
