import type { Logger } from "pino";
import { messageOf, StorageError } from "../../errors/storage-error.js";
import { parseInterval } from "../../model/interval.js";
import type { Volume } from "../../model/volume.js";
import type { Exec } from "../../os/exec.js";
import { imageUsers } from "../../os/image-users.js";
import type { KeyedLock } from "../../runtime/keyed-lock.js";
import { imageIn, type Pool, volumeDir } from "./pool.js";
import type { Registry } from "./registry.js";

/** How often the volume's file system gives its free blocks back to the pool, in milliseconds; 0: never. */
export function reclaimIntervalMs(volume: Volume): number {
  const modified = volume.mutableParameters.reclaimSpace;
  return modified === undefined ? volume.reclaimSpaceMs : parseInterval("reclaimSpace", modified);
}

export interface Reclaim {
  registry: Registry;
  pool: Pool;
  exec: Exec;
  log: Logger;
  /** The controller's: a file system that is being frozen for a cut must not be trimmed. */
  locks: KeyedLock;
  signal: AbortSignal;
}

/**
 * Runs fstrim on each mounted volume whose `reclaimSpace` interval has passed by `nowMs`. One that is not mounted, or that
 * an operation is working on, stays due. A raw volume's blocks are discarded by whoever writes to it.
 *
 * @returns the ids of the volumes that were trimmed
 */
export async function reclaimDue(reclaim: Reclaim, nowMs: number): Promise<string[]> {
  const { registry, log, locks, signal } = reclaim;
  const trimmed: string[] = [];
  for (const volume of registry.volumes()) {
    if (signal.aborted) break;
    const intervalMs = reclaimIntervalMs(volume);
    const lastMs = registry.reclaimedMs(volume.id) || volume.createdMs;
    if (intervalMs === 0 || nowMs - lastMs < intervalMs) continue;
    try {
      if (await locks.run([volume.id], "reclaimSpace", () => trim(reclaim, volume, nowMs))) trimmed.push(volume.id);
    } catch (error) {
      if (error instanceof StorageError && error.code === "aborted") continue;
      log.warn({ volumeId: volume.id, error: messageOf(error) }, "its free space could not be reclaimed");
    }
  }
  return trimmed;
}

async function trim({ registry, pool, exec, log, signal }: Reclaim, volume: Volume, nowMs: number): Promise<boolean> {
  const users = await imageUsers(imageIn(volumeDir(pool, volume.id)));
  const mountPoint = users.find((user) => user.mountPoint !== null)?.mountPoint;
  if (!mountPoint) return false;
  // Noted first: one that fails is due again after its interval, not every minute.
  await registry.setReclaimed(volume.id, nowMs);
  const { stdout } = await exec("fstrim", ["--verbose", mountPoint], { signal });
  log.info({ volumeId: volume.id, result: stdout.trim() }, "free space reclaimed");
  return true;
}
