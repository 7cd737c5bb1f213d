import { randomUUID } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { lstat } from "node:fs/promises";
import { notFound, StorageError } from "../../errors/storage-error.js";
import { FS_TYPES, type FsType } from "../../model/volume.js";
import { type Probe, probeDevice } from "../../os/blkid.js";
import type { Exec } from "../../os/exec.js";
import { renewBtrfsUuid } from "../../os/fsck.js";
import {
  attachLoop,
  detachLoop,
  LOOP_SECTOR_BYTES,
  type Loop,
  listLoops,
  loopBytes,
  refreshLoopSize,
} from "../../os/loop.js";
import { makeFilesystem } from "../../os/mkfs.js";
import { listMounts } from "../../os/mount.js";
import { step } from "../../runtime/steps.js";
import type { FormatRecord } from "../format-record.js";
import { proveBlank } from "./blank.js";
import { beginFormatRecord, readFormatRecord, writeFormatRecord } from "./format-file.js";

/*
 * Crash model. Attaching leaves a loop device, which the next attach finds by the image's device and inode. Formatting
 * writes the record "formatting" before mkfs and "formatted" after it: a crash between the two formats again, which is
 * safe, since a volume is handed out only once its record says "formatted" on disk. "formatting" is synced while mkfs
 * runs: a loss of power before that may leave a volume that is refused, and none that is formatted over. A raw volume's record is written
 * before the device is handed out, so that data in it can never be taken for a blank image.
 */

/** The image as the publish context describes it. Absent parts were not told, and are not compared. */
export interface ImageRef {
  volumeId: string;
  image: string;
  sizeBytes?: bigint;
  /** `<st_dev>:<st_ino>` when the controller published it. */
  inode?: string;
}

export interface FormatWish {
  fsType: FsType | "";
  mkfsOptions: readonly string[];
  hasSource: boolean;
  readonly: boolean;
}

const refuse = (message: string) => new StorageError("failed-precondition", message);

/** The image's stat, proven to be the one that was published. */
export async function proveImage(ref: ImageRef): Promise<BigIntStats> {
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
export async function loopsOf(exec: Exec, signal: AbortSignal, identity: string): Promise<Loop[]> {
  return (await listLoops(exec, signal)).filter((loop) => loop.identity === identity);
}

/** Attaches the image, or finds the device that it is attached to, and proves device and image to be the volume's. */
export async function attachImage(
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
export async function detachUnmounted(exec: Exec, signal: AbortSignal, loops: readonly Loop[]): Promise<void> {
  if (loops.length === 0) return;
  const mounted = new Set((await listMounts()).map((entry) => entry.source));
  for (const loop of loops) if (!mounted.has(loop.device)) await detachLoop(exec, signal, loop.device);
}

/** Detaches every loop device of the image that nothing has mounted. */
export async function detachImage(
  exec: Exec,
  signal: AbortSignal,
  identity: string,
  which: (loop: Loop) => boolean = () => true,
): Promise<void> {
  await detachUnmounted(exec, signal, (await loopsOf(exec, signal, identity)).filter(which));
}

/** Before a raw device is handed out for writing: from now on its volume is never formatted. */
export async function recordRaw(ref: ImageRef): Promise<void> {
  if ((await readFormatRecord(ref.image)) === undefined) {
    await writeFormatRecord(ref.image, { state: "raw", volumeId: ref.volumeId });
    step("format/raw-recorded");
  }
}

/**
 * The type of the filesystem on the volume's device, which is made first if, and only if, it was never made, the
 * volume has no content but a blank source's, and the device is proven to be blank. `fresh`: it was made now, and
 * must not be handed out before `recorded` has settled.
 *
 * @throws StorageError failed-precondition in every case of doubt
 */
export async function ensureFilesystem(
  exec: Exec,
  signal: AbortSignal,
  ref: ImageRef,
  device: string,
  wish: FormatWish,
): Promise<{ fsType: FsType; fresh: boolean; recorded: Promise<void> }> {
  const record = await readFormatRecord(ref.image);
  // A copy that says "formatting" with its own id was begun as "blank".
  const interrupted = record?.state === "formatting" && record.volumeId === ref.volumeId;
  const unwritten = record === undefined ? !wish.hasSource : record.state === "blank";
  if (!unwritten && !interrupted)
    return {
      fsType: await recogniseFilesystem(exec, signal, ref, device, wish, record),
      fresh: false,
      recorded: Promise.resolve(),
    };
  if (wish.readonly)
    throw refuse(
      `volume ${ref.volumeId} holds no filesystem yet and is asked for read-only: mount it for writing once`,
    );
  if (!interrupted) await proveBlank(exec, signal, { ...ref, stat: await proveImage(ref) }, device);
  const fsType = wish.fsType || "ext4";
  // A new UUID for each try: mkfs.btrfs refuses one that it finds on the device already.
  const made = { fsType, uuid: randomUUID(), volumeId: ref.volumeId };
  const begun = await beginFormatRecord(ref.image, { state: "formatting", ...made });
  step("format/intended");
  const plan = { device, fsType, uuid: made.uuid, options: wish.mkfsOptions };
  await Promise.all([makeFilesystem(exec, signal, plan), begun.synced]);
  step("format/made");
  const { synced } = await beginFormatRecord(ref.image, { state: "formatted", ...made });
  step("format/recorded");
  // Whoever mounts waits for it; should the caller fail before that, it is nobody's failure.
  synced.catch(() => undefined);
  return { fsType, fresh: true, recorded: synced };
}

async function recogniseFilesystem(
  exec: Exec,
  signal: AbortSignal,
  ref: ImageRef,
  device: string,
  wish: FormatWish,
  record: FormatRecord | undefined,
): Promise<FsType> {
  const probe = await probeDevice(exec, signal, device);
  const fsType = FS_TYPES.find((known) => known === probe.type);
  const holds = probe.type || "nothing that is recognised";
  if (record?.state === "formatting")
    throw refuse(`volume ${ref.volumeId} is a copy of a volume whose formatting had not ended`);
  if (!fsType || (wish.fsType && fsType !== wish.fsType)) {
    throw refuse(
      `volume ${ref.volumeId} holds ${holds}, not ${wish.fsType || FS_TYPES.join(", ")}; it is never formatted over`,
    );
  }
  if (record?.state === "formatted" && record.fsType !== fsType) {
    throw refuse(`volume ${ref.volumeId} was formatted with ${record.fsType} and holds ${fsType}; it is left as it is`);
  }
  if (!wish.readonly) await adopt(exec, signal, ref, device, fsType, probe, record);
  return fsType;
}

/** Gives a copy its own record, and where the kernel needs it (btrfs) its own UUID first. */
async function adopt(
  exec: Exec,
  signal: AbortSignal,
  ref: ImageRef,
  device: string,
  fsType: FsType,
  probe: Probe,
  record: FormatRecord | undefined,
): Promise<void> {
  if (record && "volumeId" in record && record.volumeId === ref.volumeId) return;
  let uuid = probe.uuid;
  if (fsType === "btrfs") {
    uuid = randomUUID();
    await renewBtrfsUuid(exec, signal, device, uuid);
  }
  await writeFormatRecord(ref.image, { state: "formatted", fsType, uuid, volumeId: ref.volumeId });
}
