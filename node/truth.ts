import { stat } from "node:fs/promises";
import type { Attacher, Device, NodeRef } from "../src/engines/attacher.js";
import type { Context } from "../src/engines/types.js";
import { StorageError } from "../src/errors/storage-error.js";
import { type MountEntry, mountAt } from "../src/os/mount.js";
import type { NodeVolume, Place } from "./node-state.js";

/** A volume on this host, by what the kernel shows: its devices, or the rule that tells its mounts. */
export interface Presence {
  devices: readonly Device[];
  owns(entry: MountEntry): boolean;
}

/** What the kernel shows at a path, held against one volume's presence. */
export type Found =
  | { type: "nothing" }
  /** `device`: what is mounted, where the volume is one. */
  | { type: "mount"; device: Device | undefined; entry: MountEntry }
  | { type: "block"; device: Device; entry: MountEntry | undefined }
  /** A mount that is not this volume's. */
  | { type: "other"; entry: MountEntry };

/** Of a volume that is these devices. */
export const presenceOfDevices = (devices: readonly Device[]): Presence => ({
  devices,
  owns: (entry) => devices.some(({ device }) => device === entry.source),
});

/** @param volume what the node recorded of it, if anything */
export async function presenceOf(
  attacher: Attacher,
  ctx: Context,
  ref: NodeRef,
  volume: NodeVolume | undefined,
): Promise<Presence> {
  if (attacher.type === "device") return presenceOfDevices(await attacher.devices(ctx, ref, volume?.identity));
  const identity = volume?.identity;
  // A volume that was never staged here has nothing here: without its identity no mount is known to be its.
  return { devices: [], owns: (entry) => identity !== undefined && attacher.owns(entry, ref, identity) };
}

/** The volume as its record says that it was published, else as the request does. */
export const refOf = (volumeId: string, volume: NodeVolume | undefined): NodeRef => ({
  volumeId,
  publishContext: volume?.publishContext ?? {},
});

/**
 * Looks at a path. "Is a mount point" proves nothing: what is mounted must be the volume's own, by its engine's proof.
 */
export async function lookAt(path: string, presence: Presence): Promise<Found> {
  const entry = await mountAt(path);
  const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    // A mount that does not answer (its FUSE process died, its device or client was cut off) is one all the same.
    if (entry || error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (found?.isBlockDevice()) {
    for (const device of presence.devices) {
      if ((await stat(device.device, { bigint: true })).rdev === found.rdev) return { type: "block", device, entry };
    }
  }
  if (!entry) return { type: "nothing" };
  if (!presence.owns(entry) || found?.isDirectory() === false) return { type: "other", entry };
  return { type: "mount", device: presence.devices.find(({ device }) => device === entry.source), entry };
}

/**
 * The volume under its id is the very one that is in use here.
 *
 * @throws StorageError failed-precondition when another one has its name now
 */
export async function proveInUse(attacher: Attacher, ctx: Context, ref: NodeRef, identity: string): Promise<void> {
  proveSame(ref, await attacher.prove(ctx, ref), identity);
}

/** The same of an identity that was proven before. */
export function proveSame(ref: NodeRef, proven: string, identity: string): void {
  if (proven === identity) return;
  throw new StorageError(
    "failed-precondition",
    `the image of volume ${ref.volumeId} was replaced while it was in use; unstage the volume, and stage it again`,
  );
}

/** The targets that are really there, of those that were recorded: a restart of the host takes all mounts away. */
export async function liveTargets(volume: NodeVolume, presence: Presence): Promise<Record<string, Place>> {
  const live: Record<string, Place> = {};
  for (const [path, place] of Object.entries(volume.targets)) {
    const found = await lookAt(path, presence);
    if (found.type === "mount" || found.type === "block") live[path] = place;
  }
  return live;
}

export const busyPath = (path: string) =>
  new StorageError("failed-precondition", `${path} has something else mounted on it; unmount it first`);

/** The stages that are really there. A raw one is nowhere in the file system: its device is all that shows it. */
export async function liveStages(volume: NodeVolume, presence: Presence): Promise<Record<string, Place>> {
  const live: Record<string, Place> = {};
  for (const [path, place] of Object.entries(volume.stages)) {
    const there =
      place.access === "block"
        ? presence.devices.some((device) => device.readonly === place.readonly)
        : (await lookAt(path, presence)).type === "mount";
    if (there) live[path] = place;
  }
  return live;
}
