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
]);

/**
 * What Granary knows of a volume's format, kept beside its image as `format.json`. `volumeId` is the volume it was
 * written for: a copy of it beside a clone's image tells itself apart by that.
 */
export type FormatRecord = z.infer<typeof Shape>;

const recordPath = (image: string) => join(dirname(image), "format.json");

/** @throws StorageError failed-precondition when the record cannot be understood: it is then not absent either. */
export async function readFormatRecord(image: string): Promise<FormatRecord | undefined> {
  const path = recordPath(image);
  const text = await readIfPresent(path);
  if (text === undefined) return undefined;
  try {
    return Shape.parse(JSON.parse(text));
  } catch (error) {
    throw new StorageError("failed-precondition", `the format record ${path} is damaged; the volume is left as it is`, {
      cause: error,
    });
  }
}

export async function writeFormatRecord(image: string, record: FormatRecord): Promise<void> {
  await writeDurably(recordPath(image), `${JSON.stringify(record)}\n`);
}
