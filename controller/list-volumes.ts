import type { ListVolumesRequest__Output } from "../proto/gen/csi/v1/ListVolumesRequest.js";
import type { ListVolumesResponse } from "../proto/gen/csi/v1/ListVolumesResponse.js";
import type { Context } from "../src/engines/types.js";
import type { ControllerDeps } from "./deps.js";
import { volumeMessage } from "./messages.js";
import { pageRequest } from "./paging.js";

/** CSI ListVolumes: in id order; the token is the last id seen, so a page stands while others are deleted. */
export async function listVolumes(
  deps: ControllerDeps,
  _ctx: Context,
  request: ListVolumesRequest__Output,
): Promise<ListVolumesResponse> {
  const { afterId, limit } = pageRequest(request, "v");
  const found = deps.engine.list(afterId, limit === 0 ? 0 : limit + 1);
  const page = limit === 0 ? found : found.slice(0, limit);
  const entries = await Promise.all(
    page.map(async (volume) => ({
      volume: volumeMessage(volume, deps.nodeIds),
      status: {
        published_node_ids: volume.publications.map((p) => p.nodeId),
        volume_condition: await deps.engine.condition(volume.id),
      },
    })),
  );
  return { entries, next_token: found.length > page.length ? (page.at(-1)?.id ?? "") : "" };
}
