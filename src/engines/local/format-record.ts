import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { StorageError } from "../../errors/storage-error.js";
import { FS_TYPES } from "../../model/volume.js";
import { readIfPresent, writeDurably } from "../../os/durable-file.js";

const fsType = z.enum(FS_TYPES as ["ext4", "xfs", "btrfs"]);

const Shape = z.discriminatedUnion("state", [
  // mkfs may have run, or half of it; the volume was never handed out, so it may run again.
  z.object({ state: z.literal("formatting"), fsType, uuid: z.string(), volumeId: z.string() }),
  z.object({ state: z.literal("formatted"), fsType, uuid: z.string(), volumeId: z.string() }),
  // Handed out as a raw device: whatever it holds is somebody's data.
  z.object({ state: z.literal("raw"), volumeId: z.string() }),
  // Content from a source that had no record.
  z.object({ state: z.literal("foreign") }),
  // The copy of a source that nothing was ever written to.
  z.object({ state: z.literal("blank") }),
]);

/**
 * What Granary knows of a volume's format, kept beside its image as `format.json`. `volumeId` is the volume it was
 * written for: a copy of it beside a clone's image tells itself apart by that.
 */
export type FormatRecord = z.infer<typeof Shape>;

const recordPath = (image: string) => join(dirname(image), "format.json");

/**
 * The record, or undefined when there is none: no file, or the empty one that a new image has beside it.
 *
 * @throws StorageError failed-precondition when the record cannot be understood: it is then not absent either.
 */
export async function readFormatRecord(image: string): Promise<FormatRecord | undefined> {
  const path = recordPath(image);
  const text = await readIfPresent(path);
  if (text === undefined || text === "") return undefined;
  try {
    return Shape.parse(JSON.parse(text));
  } catch (error) {
    throw new StorageError("failed-precondition", `the format record ${path} is damaged; the volume is left as it is`, {
      cause: error,
    });
  }
}

/** A record is written over the one before it, at the same length and in one sector: a disk writes all of it or none. */
const RECORD_BYTES = 512;

/** Durable when it returns. In the file that is there this takes one sync, where a new one takes two. */
export async function writeFormatRecord(image: string, record: FormatRecord): Promise<void> {
  await (await beginFormatRecord(image, record)).synced;
}

/**
 * Writes the record: when this returns it outlives a crash of the process, and once `synced` has settled a loss of power
 * too. Whoever calls must wait for that, and may do in the meantime what may be lost as well.
 */
export async function beginFormatRecord(image: string, record: FormatRecord): Promise<{ synced: Promise<void> }> {
  const path = recordPath(image);
  const text = `${JSON.stringify(record).padEnd(RECORD_BYTES - 1)}\n`;
  const file = await open(path, "r+").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  // A longer one was written by hand: its end must not stay behind the new one.
  if (!file || (await file.stat()).size > text.length) {
    await file?.close();
    await writeDurably(path, text);
    return { synced: Promise.resolve() };
  }
  await file.write(text, 0);
  return { synced: file.datasync().finally(() => file.close()) };
}
