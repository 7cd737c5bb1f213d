import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { StorageError } from "../src/errors/storage-error.js";
import type { AccessMode } from "../src/model/volume.js";
import { isOurs } from "../src/model/volume-id.js";
import { readIfPresent, replaceFile } from "../src/os/durable-file.js";

const Place = z.object({
  access: z.enum(["block", "mount"]),
  /** The capability's digest. */
  capability: z.string(),
  mode: z.string().transform((mode) => mode as AccessMode),
  readonly: z.boolean(),
});

const Shape = z
  .object({
    volumeId: z.string(),
    publishContext: z.record(z.string(), z.string()).optional(),
    /** The local image, as earlier releases recorded it. */
    image: z.string().optional(),
    /** The engine's own (src/engines/attacher.ts): finds the volume's devices even when the volume is gone. */
    identity: z.string(),
    stages: z.record(z.string(), Place),
    targets: z.record(z.string(), Place),
  })
  .transform(({ image, publishContext, ...rest }) => ({
    ...rest,
    publishContext: publishContext ?? (image === undefined ? {} : { image }),
  }));

export type Place = z.infer<typeof Place>;

/** What was asked for a volume on this node. Whether it is so is read from the kernel, never from here. */
export type NodeVolume = z.infer<typeof Shape>;

export interface NodeState {
  read(volumeId: string): Promise<NodeVolume | undefined>;
  /** Of every volume that has one; a record that cannot be read is left out. */
  all(): Promise<NodeVolume[]>;
  /** A volume with neither stage nor target leaves no file. */
  write(volume: NodeVolume): Promise<void>;
}

/**
 * One file a volume in `folder`. Volume ids must have been proven ours: they become file names. The files are not synced:
 * what they record, mounts and loop devices, does not outlive a loss of power either, and one that it left empty counts as
 * none. The orchestrator then stages and publishes anew.
 */
export function nodeState(folder: string): NodeState {
  const pathOf = (volumeId: string) => join(folder, `${volumeId}.json`);
  const read = async (volumeId: string): Promise<NodeVolume | undefined> => {
    const text = await readIfPresent(pathOf(volumeId));
    if (text === undefined || /^\0*$/.test(text)) return undefined;
    try {
      return Shape.parse(JSON.parse(text));
    } catch (error) {
      throw new StorageError("failed-precondition", `the node's record ${pathOf(volumeId)} is damaged`, {
        cause: error,
      });
    }
  };
  return {
    read,
    async all() {
      const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
        if (error.code === "ENOENT") return [];
        throw error;
      });
      const ids = names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length));
      const found = await Promise.all(ids.filter((id) => isOurs(id, "v")).map((id) => read(id).catch(() => undefined)));
      return found.filter((volume) => volume !== undefined);
    },
    async write(volume) {
      const used = Object.keys(volume.stages).length + Object.keys(volume.targets).length > 0;
      if (used) await replaceFile(pathOf(volume.volumeId), `${JSON.stringify(volume)}\n`);
      else await rm(pathOf(volume.volumeId), { force: true });
    },
  };
}
