import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { NodeGetVolumeStatsRequest__Output } from "../proto/gen/csi/v1/NodeGetVolumeStatsRequest.js";
import type { NodeGetVolumeStatsResponse } from "../proto/gen/csi/v1/NodeGetVolumeStatsResponse.js";
import type { Context } from "../src/engines/types.js";
import { messageOf, notFound } from "../src/errors/storage-error.js";
import { deviceBytes, fileIdentity, type Loop } from "../src/os/loop.js";
import type { MountEntry } from "../src/os/mount.js";
import type { NodeEnvironment } from "./environment.js";
import { locateVolume } from "./locate-volume.js";
import { required } from "./requests.js";

/** NodeGetVolumeStats: bytes and inodes of a mounted volume, the size of a raw one, and whether it is well. */
export async function getVolumeStats(
  env: NodeEnvironment,
  ctx: Context,
  request: NodeGetVolumeStatsRequest__Output,
): Promise<NodeGetVolumeStatsResponse> {
  const volumeId = required(request.volume_id, "volume_id");
  const path = required(request.volume_path, "volume_path");
  const { found, image } = await locateVolume(env, ctx.signal, volumeId, path);
  if (found.type === "block") {
    const total = String(await deviceBytes(env.exec, ctx.signal, found.loop.device));
    return { usage: [{ unit: "BYTES", total }], volume_condition: await conditionOf(image, found.loop, undefined) };
  }
  const volume_condition = await conditionOf(image, found.loop, found.entry);
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

// A pool's last blocks go to its own metadata: volumes' writes fail a little before there is nothing left.
const POOL_RESERVE_BYTES = 16n * 1024n * 1024n;

async function conditionOf(image: string, loop: Loop, entry: MountEntry | undefined) {
  const abnormal = (message: string) => ({ abnormal: true, message });
  const identity = await fileIdentity(image).catch(() => undefined);
  if (identity === undefined) return abnormal("the volume's image is gone from the pool");
  if (identity !== loop.identity) return abnormal("the volume's image was replaced while it was in use");
  const { bavail, bsize } = await statfs(join(image, ".."), { bigint: true });
  if (bavail * bsize < POOL_RESERVE_BYTES) return abnormal("the pool is full: writes may fail");
  // ext4 and btrfs turn read-only by themselves on an I/O error: the mount's own options still say rw then.
  if (entry && !entry.options.includes("ro") && entry.superOptions.includes("ro")) {
    return abnormal("the filesystem went read-only after an error");
  }
  return { abnormal: false, message: "the volume is well" };
}
