import type { ControllerPublishVolumeRequest__Output } from "../proto/gen/csi/v1/ControllerPublishVolumeRequest.js";
import type { ControllerPublishVolumeResponse } from "../proto/gen/csi/v1/ControllerPublishVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { invalid, notFound, StorageError } from "../src/errors/storage-error.js";
import { MULTI_NODE, type Publication, READ_ONLY, type Volume } from "../src/model/volume.js";
import type { ControllerDeps } from "./deps.js";
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
    const volume = deps.engine.get(id);
    if (!volume) throw notFound(`volume ${id} does not exist`);
    if (!deps.nodeIds.includes(nodeId))
      throw notFound(`node ${nodeId} is not known; this pool serves ${deps.nodeIds.join(", ")}`);
    const reason = unsupported(capability, volume.kind);
    if (reason !== null) throw invalid(`volume_capability: ${reason}`);
    const readonly = request.readonly || READ_ONLY.has(capability.mode);
    const publication: Publication = { nodeId, readonly, capability: canonical(capability), mode: capability.mode };
    checkOthers(volume, publication);
    return { publish_context: await deps.engine.publish(ctx, id, publication) };
  });
}

function checkOthers(volume: Volume, wanted: Publication): void {
  for (const existing of volume.publications) {
    if (existing.nodeId === wanted.nodeId) {
      if (existing.readonly === wanted.readonly && existing.capability === wanted.capability) continue;
      throw new StorageError(
        "already-exists",
        `volume ${volume.id} is published to node ${wanted.nodeId} with another capability or readonly`,
      );
    }
    if (!MULTI_NODE.has(wanted.mode) || !MULTI_NODE.has(existing.mode)) {
      throw new StorageError(
        "failed-precondition",
        `volume ${volume.id} is published to node ${existing.nodeId} as ${existing.mode}`,
      );
    }
  }
}
