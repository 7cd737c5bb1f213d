import type { BigIntStats } from "node:fs";
import { lstat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { invalid, notFound, StorageError } from "../../errors/storage-error.js";
import type { Exec } from "../../os/exec.js";
import {
  attachLoop,
  detachLoop,
  fileIdentity,
  LOOP_SECTOR_BYTES,
  type Loop,
  listLoops,
  loopBytes,
  refreshLoopSize,
} from "../../os/loop.js";
import { listMounts } from "../../os/mount.js";
import type { Device, DeviceAttacher, NodeRef } from "../attacher.js";
import type { FormatRecord } from "../format-record.js";
import type { Context } from "../types.js";
import { proveBlank } from "./blank.js";
import { beginFormatRecord, readFormatRecord } from "./format-file.js";
import { imageIn, volumeDir } from "./pool.js";

/*
 * Crash model. Attaching leaves a loop device, which the next attach finds by the image's device and inode.
 */

/** The image as the publish context describes it. Absent parts were not told, and are not compared. */
interface ImageRef {
  volumeId: string;
  image: string;
  sizeBytes?: bigint;
  /** `<st_dev>:<st_ino>` when the controller published it. */
  inode?: string;
}

/** Images that are loop devices on this host. `imageOf` says where a volume's image is, and throws for a wrong context. */
export function loopAttacher(exec: Exec, imageOf: (ref: NodeRef) => ImageRef): DeviceAttacher {
  return {
    type: "device",
    prove: async (_ctx, ref) => identityOf(await proveImage(imageOf(ref))),
    attach: (ctx, ref, readonly) => attachImage(exec, ctx.signal, imageOf(ref), readonly),
    devices: (ctx, ref, identity) => devicesOf(exec, ctx.signal, imageOf(ref).image, identity),
    detach: (ctx, devices) => detachUnmounted(exec, ctx.signal, devices),
    readRecord: async (_ctx, ref) => readFormatRecord(imageOf(ref).image),
    writeRecord: async (_ctx, ref, record: FormatRecord) => beginFormatRecord(imageOf(ref).image, record),
    proveBlank: async (ctx: Context, ref, device) => {
      const image = imageOf(ref);
      await proveBlank(exec, ctx.signal, { ...image, stat: await proveImage(image) }, device);
    },
    problem: async (_ctx, ref, identity) => problemOf(imageOf(ref).image, identity),
  };
}

/** The local engine's attacher: images in the pool's `volumes/<id>/image`. */
export const localAttacher = (exec: Exec, poolDir: string): DeviceAttacher =>
  loopAttacher(exec, (ref) => pooledImage(poolDir, ref));

function pooledImage(poolDir: string, { volumeId, publishContext: context }: NodeRef): ImageRef {
  // The id names the image: a publish context of another volume, or one made by hand, must not lead elsewhere.
  if (context.image && !context.image.endsWith(`/volumes/${volumeId}/image`)) {
    throw new StorageError("failed-precondition", `publish_context.image is not the image of volume ${volumeId}`);
  }
  if (context.sizeBytes && !/^\d+$/.test(context.sizeBytes)) throw invalid("publish_context.sizeBytes is not a number");
  return {
    volumeId,
    image: context.image || imageIn(volumeDir({ dir: poolDir }, volumeId)),
    ...(context.sizeBytes ? { sizeBytes: BigInt(context.sizeBytes) } : {}),
    ...(context.inode ? { inode: context.inode } : {}),
  };
}

const refuse = (message: string) => new StorageError("failed-precondition", message);

/** The image's stat, proven to be the one that was published. */
async function proveImage(ref: ImageRef): Promise<BigIntStats> {
  const found = await lstat(ref.image, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR")
      throw notFound(`volume ${ref.volumeId} has no image on this node`);
    throw error;
  });
  if (!found.isFile()) throw refuse(`the image of volume ${ref.volumeId} is not a regular file`);
  // The inode alone: the pool's device number may change when the host restarts, and publish contexts outlive that.
  const inode = ref.inode?.split(":").at(-1);
  if (inode !== undefined && inode !== String(found.ino)) {
    throw refuse(
      `the image of volume ${ref.volumeId} is not the one that was published: inode ${found.ino}, not ${inode}`,
    );
  }
  // Larger is fine: the volume may have been expanded after it was published.
  if (ref.sizeBytes !== undefined && found.size < ref.sizeBytes) {
    throw refuse(`the image of volume ${ref.volumeId} has ${found.size} bytes, and ${ref.sizeBytes} were published`);
  }
  return found;
}

const identityOf = (found: BigIntStats) => `${found.dev}:${found.ino}`;

/** The volume's loop devices: proven by the backing file's device and inode, never by its path. */
async function loopsOf(exec: Exec, signal: AbortSignal, identity: string): Promise<Loop[]> {
  return (await listLoops(exec, signal)).filter((loop) => loop.identity === identity);
}

/** Attaches the image, or finds the device that it is attached to, and proves device and image to be the volume's. */
async function attachImage(
  exec: Exec,
  signal: AbortSignal,
  ref: ImageRef,
  readonly: boolean,
): Promise<Loop & { sizeBytes: bigint }> {
  const image = await proveImage(ref);
  const find = async () => (await loopsOf(exec, signal, identityOf(image))).find((loop) => loop.readonly === readonly);
  let loop = await find();
  if (!loop) {
    await attachLoop(exec, signal, ref.image, readonly);
    loop = await find();
  }
  if (!loop)
    throw refuse(
      `the loop device of volume ${ref.volumeId} is not backed by its image; is something else replacing it?`,
    );
  return { ...loop, sizeBytes: await fitDevice(exec, signal, loop.device, image.size) };
}

/** Makes the device as large as the image, which may have grown since, and proves it. */
async function fitDevice(exec: Exec, signal: AbortSignal, device: string, imageBytes: bigint): Promise<bigint> {
  let bytes = await loopBytes(device);
  if (bytes < imageBytes) {
    await refreshLoopSize(exec, signal, device);
    bytes = await loopBytes(device);
  }
  // A device counts whole sectors.
  if (bytes !== imageBytes - (imageBytes % LOOP_SECTOR_BYTES))
    throw refuse(`${device} has ${bytes} bytes and its image ${imageBytes}`);
  return bytes;
}

/** Detaches those of the loop devices that nothing has mounted. */
async function detachUnmounted(exec: Exec, signal: AbortSignal, loops: readonly Device[]): Promise<void> {
  if (loops.length === 0) return;
  const mounted = new Set((await listMounts()).map((entry) => entry.source));
  for (const loop of loops) if (!mounted.has(loop.device)) await detachLoop(exec, signal, loop.device);
}

/** By the identity that the image has now, and by the recorded one: the image may be gone, or another. */
async function devicesOf(
  exec: Exec,
  signal: AbortSignal,
  image: string,
  recorded: string | undefined,
): Promise<Loop[]> {
  const now = await fileIdentity(image).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  const identities = new Set([recorded, now].filter((identity) => identity !== undefined));
  const loops = await Promise.all([...identities].map((identity) => loopsOf(exec, signal, identity)));
  return loops.flat();
}

// A pool's last blocks go to its own metadata: volumes' writes fail a little before there is nothing left.
const POOL_RESERVE_BYTES = 16n * 1024n * 1024n;

async function problemOf(image: string, identity: string): Promise<string | undefined> {
  const now = await fileIdentity(image).catch(() => undefined);
  if (now === undefined) return "the volume's image is gone from the pool";
  if (now !== identity) return "the volume's image was replaced while it was in use";
  const { bavail, bsize } = await statfs(dirname(image), { bigint: true });
  return bavail * bsize < POOL_RESERVE_BYTES ? "the pool is full: writes may fail" : undefined;
}
