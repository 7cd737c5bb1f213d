import { statfs } from "node:fs/promises";
import type { NodeGetVolumeStatsRequest__Output } from "../proto/gen/csi/v1/NodeGetVolumeStatsRequest.js";
import type { NodeGetVolumeStatsResponse } from "../proto/gen/csi/v1/NodeGetVolumeStatsResponse.js";
import type { Context } from "../src/engines/types.js";
import { messageOf, notFound } from "../src/errors/storage-error.js";
import { deviceBytes } from "../src/os/loop.js";
import type { NodeEnvironment } from "./environment.js";
import { type Located, locateVolume } from "./locate-volume.js";
import { required } from "./requests.js";

/** NodeGetVolumeStats: bytes and inodes of a mounted volume, the size of a raw one, and whether it is well. */
export async function getVolumeStats(
  env: NodeEnvironment,
  ctx: Context,
  request: NodeGetVolumeStatsRequest__Output,
): Promise<NodeGetVolumeStatsResponse> {
  const volumeId = required(request.volume_id, "volume_id");
  const path = required(request.volume_path, "volume_path");
  const located = await locateVolume(env, ctx, volumeId, path);
  const { found } = located;
  const volume_condition = await conditionOf(ctx, located);
  if (found.type === "block") {
    const total = String(await deviceBytes(env.exec, ctx.signal, found.device.device));
    return { usage: [{ unit: "BYTES", total }], volume_condition };
  }
  try {
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path, { bigint: true });
    const text = (value: bigint) => String(value);
    return {
      usage: [
        {
          unit: "BYTES",
          total: text(blocks * bsize),
          used: text((blocks - bfree) * bsize),
          available: text(bavail * bsize),
        },
        { unit: "INODES", total: text(files), used: text(files - ffree), available: text(ffree) },
      ],
      volume_condition,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw notFound(`volume ${volumeId} is not at that path`);
    return {
      usage: [],
      volume_condition: { abnormal: true, message: `the filesystem does not answer: ${messageOf(error)}` },
    };
  }
}

async function conditionOf(ctx: Context, { found, ref, attacher, volume }: Located) {
  const abnormal = (message: string) => ({ abnormal: true, message });
  const identity = found.device?.identity ?? volume?.identity ?? "";
  const problem = await attacher.problem(ctx, ref, identity);
  if (problem !== undefined) return abnormal(problem);
  // ext4 and btrfs turn read-only by themselves on an I/O error: the mount's own options still say rw then.
  const entry = found.type === "mount" ? found.entry : undefined;
  if (entry && !entry.options.includes("ro") && entry.superOptions.includes("ro")) {
    return abnormal("the filesystem went read-only after an error");
  }
  return { abnormal: false, message: "the volume is well" };
}
