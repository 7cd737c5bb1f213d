import { mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * Marks the volumes that an operation is working on, so that a restart knows where one was cut off. A marker needs no
 * sync: what it guards, mounts and loop devices, does not outlive a loss of power either.
 */
export interface Interruptions {
  /** Runs the work with the volume marked. The work undoes its own failures; only a crash leaves the mark. */
  guard<T>(volumeId: string, work: () => Promise<T>): Promise<T>;
  /** The ids of the volumes that are marked. */
  list(): Promise<string[]>;
  clear(volumeId: string): Promise<void>;
}

export const MARKERS = "busy";

/** Markers are files in `<stateDir>/busy`. Volume ids must have been proven ours: they become file names. */
export function interruptions(stateDir: string): Interruptions {
  const folder = join(stateDir, MARKERS);
  const clear = (volumeId: string) => rm(join(folder, volumeId), { force: true });
  return {
    async guard(volumeId, work) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await (await open(join(folder, volumeId), "w", 0o600)).close();
      try {
        return await work();
      } finally {
        await clear(volumeId);
      }
    },
    async list() {
      return readdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return [];
        throw error;
      });
    },
    clear,
  };
}
