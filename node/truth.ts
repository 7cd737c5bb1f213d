import { stat } from "node:fs/promises";
import { type ImageRef, loopsOf, proveImage } from "../src/engines/local/attacher.js";
import { imageIn, volumeDir } from "../src/engines/local/pool.js";
import { StorageError } from "../src/errors/storage-error.js";
import { fileIdentity, type Loop } from "../src/os/loop.js";
import { type MountEntry, mountAt } from "../src/os/mount.js";
import type { NodeEnvironment } from "./environment.js";
import type { NodeVolume, Place } from "./node-state.js";

/** What the kernel shows at a path, held against one volume's loop devices. */
export type Found =
  | { type: "nothing" }
  | { type: "mount"; loop: Loop; entry: MountEntry }
  | { type: "block"; loop: Loop; entry: MountEntry | undefined }
  /** A mount that is not this volume's. */
  | { type: "other"; entry: MountEntry };

/**
 * Looks at a path. "Is a mount point" proves nothing: the mount's device must be one of `loops`, which were found by
 * the image's device and inode.
 */
export async function lookAt(path: string, loops: readonly Loop[]): Promise<Found> {
  const entry = await mountAt(path);
  const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (found?.isBlockDevice()) {
    for (const loop of loops) {
      if ((await stat(loop.device, { bigint: true })).rdev === found.rdev) return { type: "block", loop, entry };
    }
  }
  if (!entry) return { type: "nothing" };
  const loop = loops.find((candidate) => candidate.device === entry.source);
  return loop && found?.isDirectory() ? { type: "mount", loop, entry } : { type: "other", entry };
}

/**
 * The image at its path is the very file that the volume's device was made from.
 *
 * @throws StorageError failed-precondition when another file has its name now
 */
export async function proveInUse(ref: ImageRef, identity: string): Promise<void> {
  const { dev, ino } = await proveImage(ref);
  if (`${dev}:${ino}` === identity) return;
  throw new StorageError(
    "failed-precondition",
    `the image of volume ${ref.volumeId} was replaced while it was in use; unstage the volume, and stage it again`,
  );
}

/** Where the local engine keeps the volume's image. */
export const imageOf = (env: NodeEnvironment, volumeId: string) => imageIn(volumeDir({ dir: env.poolDir }, volumeId));

/** The volume's identity: of its image, or the one that was recorded when the image is gone. */
export async function currentLoops(
  env: NodeEnvironment,
  signal: AbortSignal,
  volume: NodeVolume | undefined,
  image: string,
): Promise<Loop[]> {
  const identities = new Set<string>();
  if (volume) identities.add(volume.identity);
  const now = await fileIdentity(image).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (now !== undefined) identities.add(now);
  const loops = await Promise.all([...identities].map((identity) => loopsOf(env.exec, signal, identity)));
  return loops.flat();
}

/** The targets that are really there, of those that were recorded: a restart of the host takes all mounts away. */
export async function liveTargets(volume: NodeVolume, loops: readonly Loop[]): Promise<Record<string, Place>> {
  const live: Record<string, Place> = {};
  for (const [path, place] of Object.entries(volume.targets)) {
    const found = await lookAt(path, loops);
    if (found.type === "mount" || found.type === "block") live[path] = place;
  }
  return live;
}

export const busyPath = (path: string) =>
  new StorageError("failed-precondition", `${path} has something else mounted on it; unmount it first`);

/** The stages that are really there. A raw one is nowhere in the file system: its device is all that shows it. */
export async function liveStages(volume: NodeVolume, loops: readonly Loop[]): Promise<Record<string, Place>> {
  const live: Record<string, Place> = {};
  for (const [path, place] of Object.entries(volume.stages)) {
    const there =
      place.access === "block"
        ? loops.some((loop) => loop.readonly === place.readonly)
        : (await lookAt(path, loops)).type === "mount";
    if (there) live[path] = place;
  }
  return live;
}
