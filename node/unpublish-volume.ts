import { rm, rmdir } from "node:fs/promises";
import type { NodeUnpublishVolumeRequest__Output } from "../proto/gen/csi/v1/NodeUnpublishVolumeRequest.js";
import type { Context } from "../src/engines/types.js";
import { isOurs } from "../src/model/volume-id.js";
import { unmount } from "../src/os/mount.js";
import { step } from "../src/runtime/steps.js";
import type { NodeEnvironment } from "./environment.js";
import { isEphemeralId, unpublishEphemeral } from "./ephemeral.js";
import { cleanPath } from "./paths.js";
import { required } from "./requests.js";
import { busyPath, liveTargets, lookAt, presenceOf, refOf } from "./truth.js";

/** NodeUnpublishVolume: takes the target's mount and then the target itself away. Never published: OK. */
export async function unpublishVolume(
  env: NodeEnvironment,
  ctx: Context,
  request: NodeUnpublishVolumeRequest__Output,
): Promise<object> {
  const volumeId = required(request.volume_id, "volume_id");
  const target = cleanPath("target_path", required(request.target_path, "target_path"));
  if (isEphemeralId(volumeId)) return unpublishEphemeral(env, ctx, volumeId, target);
  if (!isOurs(volumeId, "v")) return {};
  const attacher = env.attacherOf(volumeId);
  await env.exclusive(volumeId, "NodeUnpublishVolume", async () => {
    step("node-unpublish/begun");
    const volume = await env.state.read(volumeId);
    const presence = await presenceOf(attacher, ctx, refOf(volumeId, volume), volume);
    for (;;) {
      const found = await lookAt(target, presence);
      if (found.type === "other" && volume?.targets[target]) throw busyPath(target);
      if (found.type === "nothing" || found.type === "other" || !found.entry) break;
      await unmount(env.exec, ctx.signal, target);
    }
    step("node-unpublish/unmounted");
    if (!volume) return;
    if (volume.targets[target]) await removeTarget(target);
    step("node-unpublish/target-removed");
    const targets = await liveTargets(volume, presence);
    delete targets[target];
    // The device that a read-only publication of a writable block volume had for itself.
    const needed = [...Object.values(volume.stages), ...Object.values(targets)].some(
      (place) => place.readonly && place.access === "block",
    );
    const own = presence.devices.filter((device) => device.readonly && device.identity === volume.identity);
    if (!needed && attacher.type === "device") await attacher.detach(ctx, own);
    await env.state.write({ ...volume, targets });
    step("node-unpublish/recorded");
  });
  return {};
}

/** Only what publish made, and only when it is empty: never data, whatever is at that path. */
export async function removeTarget(target: string): Promise<void> {
  try {
    await rmdir(target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTDIR") await rm(target, { force: true });
    else if (code !== "ENOENT") throw error;
  }
}
