import type { ControllerPublishVolumeRequest__Output } from "../proto/gen/csi/v1/ControllerPublishVolumeRequest.js";
import type { ControllerPublishVolumeResponse } from "../proto/gen/csi/v1/ControllerPublishVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { invalid, notFound } from "../src/errors/storage-error.js";
import { checkPublication } from "../src/model/publication.js";
import { type Publication, READ_ONLY } from "../src/model/volume.js";
import { type ControllerDeps, findVolume } from "./deps.js";
import { canonical, parseCapability, requireId, unsupported } from "./validation.js";

/** CSI ControllerPublishVolume: the same again is OK; another node for a single-node volume is refused by name. */
export async function publishVolume(
  deps: ControllerDeps,
  ctx: Context,
  request: ControllerPublishVolumeRequest__Output,
): Promise<ControllerPublishVolumeResponse> {
  const id = requireId("volume_id", request.volume_id);
  const nodeId = requireId("node_id", request.node_id);
  const capability = parseCapability("volume_capability", request.volume_capability);
  return deps.locks.run([id], `ControllerPublishVolume ${id}`, async () => {
    const { engine, volume } = await findVolume(deps, ctx, id);
    const nodeIds = await engine.nodeIds(ctx);
    if (nodeIds !== null && !nodeIds.includes(nodeId))
      throw notFound(`node ${nodeId} is not known; this pool serves ${nodeIds.join(", ")}`);
    const reason = unsupported(capability, volume.kind);
    if (reason !== null) throw invalid(`volume_capability: ${reason}`);
    const readonly = request.readonly || READ_ONLY.has(capability.mode);
    const publication: Publication = { nodeId, readonly, capability: canonical(capability), mode: capability.mode };
    checkPublication(volume, publication);
    return { publish_context: await engine.publish(ctx, id, publication) };
  });
}
