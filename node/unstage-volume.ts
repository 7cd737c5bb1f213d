import type { NodeUnstageVolumeRequest__Output } from "../proto/gen/csi/v1/NodeUnstageVolumeRequest.js";
import type { Context } from "../src/engines/types.js";
import { StorageError } from "../src/errors/storage-error.js";
import { isOurs } from "../src/model/volume-id.js";
import { unmount } from "../src/os/mount.js";
import { step } from "../src/runtime/steps.js";
import type { NodeEnvironment } from "./environment.js";
import { cleanPath } from "./paths.js";
import { required } from "./requests.js";
import { liveTargets, lookAt, presenceOf, refOf } from "./truth.js";

/** NodeUnstageVolume: takes the staging mount away, and the device with the last of them. Never staged: OK. */
export async function unstageVolume(
  env: NodeEnvironment,
  ctx: Context,
  request: NodeUnstageVolumeRequest__Output,
): Promise<object> {
  const volumeId = required(request.volume_id, "volume_id");
  const path = cleanPath("staging_target_path", required(request.staging_target_path, "staging_target_path"));
  if (!isOurs(volumeId, "v")) return {};
  const attacher = env.attacherOf(volumeId);
  await env.exclusive(volumeId, "NodeUnstageVolume", async () => {
    step("node-unstage/begun");
    const volume = await env.state.read(volumeId);
    const ref = refOf(volumeId, volume);
    const presence = await presenceOf(attacher, ctx, ref, volume);
    const targets = volume ? await liveTargets(volume, presence) : {};
    const stages = { ...volume?.stages };
    delete stages[path];
    const last = Object.keys(stages).length === 0;
    const [target] = Object.keys(targets);
    if (last && target !== undefined && volume?.stages[path]) {
      throw new StorageError("failed-precondition", `the volume is still published at ${target}; unpublish it first`);
    }
    // Mounts may be stacked, if a crash fell between a mount and its record. What is not the volume's own is left alone.
    while ((await lookAt(path, presence)).type === "mount") {
      if (attacher.type === "device") await unmount(env.exec, ctx.signal, path);
      else await attacher.unmount(ctx, ref, path);
    }
    // Once more with nothing mounted: what served the last mount may still be writing, of a call that was cut off too.
    if (attacher.type === "filesystem" && volume) await attacher.unmount(ctx, ref, path);
    step("node-unstage/unmounted");
    if (last && target === undefined && attacher.type === "device") await attacher.detach(ctx, presence.devices);
    step("node-unstage/detached");
    if (volume) await env.state.write({ ...volume, stages, targets });
    step("node-unstage/recorded");
  });
  return {};
}
