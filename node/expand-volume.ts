import { statfs } from "node:fs/promises";
import type { NodeExpandVolumeRequest__Output } from "../proto/gen/csi/v1/NodeExpandVolumeRequest.js";
import type { NodeExpandVolumeResponse } from "../proto/gen/csi/v1/NodeExpandVolumeResponse.js";
import type { Context } from "../src/engines/types.js";
import { invalid, notFound, StorageError } from "../src/errors/storage-error.js";
import { FS_TYPES } from "../src/model/volume.js";
import { isOurs } from "../src/model/volume-id.js";
import { step } from "../src/runtime/steps.js";
import type { NodeEnvironment } from "./environment.js";
import { isEphemeralId } from "./ephemeral.js";
import { growIfSmaller } from "./filesystem-mount.js";
import { locateVolume } from "./locate-volume.js";
import { required } from "./requests.js";
import { proveInUse } from "./truth.js";

/** NodeExpandVolume: makes the device, and the filesystem on it, as large as the image has become. */
export async function expandVolume(
  env: NodeEnvironment,
  ctx: Context,
  request: NodeExpandVolumeRequest__Output,
): Promise<NodeExpandVolumeResponse> {
  const volumeId = required(request.volume_id, "volume_id");
  const path = required(request.volume_path, "volume_path");
  const wanted = BigInt(request.capacity_range?.required_bytes || "0");
  const limit = BigInt(request.capacity_range?.limit_bytes || "0");
  if (wanted < 0n || limit < 0n) throw invalid("capacity_range must not be negative");
  if (!(isOurs(volumeId, "v") || isEphemeralId(volumeId))) throw notFound("no volume of that id");
  return env.exclusive(volumeId, "NodeExpandVolume", async () => {
    const { found, ref, attacher } = await locateVolume(env, ctx, volumeId, path);
    if (attacher.type === "filesystem" || !found.device) {
      const { blocks, bsize } = await statfs(path, { bigint: true });
      return { capacity_bytes: String(blocks * bsize) };
    }
    await proveInUse(attacher, ctx, ref, found.device.identity);
    const device = await attacher.attach(ctx, ref, found.device.readonly);
    step("node-expand/device-grown");
    if (device.sizeBytes < wanted) {
      throw new StorageError(
        "out-of-range",
        `the volume has ${device.sizeBytes} bytes: expand it with ControllerExpandVolume first`,
      );
    }
    if (found.type === "mount") {
      const fsType = FS_TYPES.find((known) => known === found.entry.fsType);
      if (!fsType)
        throw new StorageError("failed-precondition", `a ${found.entry.fsType} filesystem cannot be expanded`);
      if (!found.entry.superOptions.includes("ro")) {
        await growIfSmaller(env.exec, ctx.signal, {
          device: device.device,
          mountPoint: path,
          fsType,
          deviceBytes: device.sizeBytes,
        });
        step("node-expand/filesystem-grown");
      }
    }
    return { capacity_bytes: String(device.sizeBytes) };
  });
}
