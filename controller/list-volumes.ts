import type { ListVolumesRequest__Output } from "../proto/gen/csi/v1/ListVolumesRequest.js";
import type { ListVolumesResponse } from "../proto/gen/csi/v1/ListVolumesResponse.js";
import type { Context } from "../src/engines/types.js";
import type { ControllerDeps } from "./deps.js";
import { volumeMessage } from "./messages.js";
import { pageRequest } from "./paging.js";

/** CSI ListVolumes: in id order; the token is the last id seen, so a page stands while others are deleted. */
export async function listVolumes(
  deps: ControllerDeps,
  ctx: Context,
  request: ListVolumesRequest__Output,
): Promise<ListVolumesResponse> {
  const { afterId, limit } = pageRequest(request, "v");
  const found = await everyVolume(deps, ctx, afterId, limit === 0 ? 0 : limit + 1);
  const page = limit === 0 ? found : found.slice(0, limit);
  const entries = await Promise.all(
    page.map(async ({ engine, volume }) => ({
      volume: await volumeMessage(ctx, engine, volume),
      status: {
        published_node_ids: volume.publications.map((p) => p.nodeId),
        volume_condition: await engine.condition(ctx, volume.id),
      },
    })),
  );
  return { entries, next_token: found.length > page.length ? (page.at(-1)?.volume.id ?? "") : "" };
}

/** Of all engines, in the order of ids: each engine's ids share their beginning, and its own list is in order. */
async function everyVolume(deps: ControllerDeps, ctx: Context, afterId: string, limit: number) {
  const lists = await Promise.all(
    deps.engines.all.map(async (engine) =>
      (await engine.list(ctx, afterId, limit)).map((volume) => ({ engine, volume })),
    ),
  );
  const found = lists.flat().sort((a, b) => (a.volume.id < b.volume.id ? -1 : 1));
  return limit === 0 ? found : found.slice(0, limit);
}
