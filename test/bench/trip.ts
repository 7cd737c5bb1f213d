import { bytes, type Calls, mount } from "../root/csi-requests.js";
import type { RpcTimes } from "./rpc-times.js";
import { timed } from "./world.js";

/** Milliseconds of a whole way up (create to published) and a whole way down. */
export interface Trip {
  upMs: number;
  downMs: number;
}

const GIB = 1024 ** 3;

/** A volume's life by the driver: from nothing to a mounted pod folder and back. */
export async function travel(
  calls: Calls,
  times: RpcTimes,
  name: string,
  wish: { parameters?: Readonly<Record<string, string>>; capability?: ReturnType<typeof mount> } = {},
): Promise<Trip> {
  const { parameters = {}, capability = mount() } = wish;
  const up = await timed(async () => {
    const ask = { capacity_range: bytes(GIB), volume_capabilities: [capability], parameters };
    const volume = await times.call("CreateVolume", () => calls.create(name, ask));
    const id = volume.volume_id;
    const published = await times.call("ControllerPublishVolume", () => calls.controllerPublish(id, capability));
    const context = published.publish_context ?? {};
    await times.call("NodeStageVolume", () => calls.stage(volume, context, capability));
    await times.call("NodePublishVolume", () => calls.publish(volume, { publish_context: context }, "a", capability));
    return id;
  });
  const id = up.answer;
  const down = await timed(async () => {
    await times.call("NodeUnpublishVolume", () => calls.unpublish(id));
    await times.call("NodeUnstageVolume", () => calls.unstage(id));
    await times.call("ControllerUnpublishVolume", () => calls.controllerUnpublish(id));
    await times.call("DeleteVolume", () => calls.remove(id));
  });
  return { upMs: up.ms, downMs: down.ms };
}
