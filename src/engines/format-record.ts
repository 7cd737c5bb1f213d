import { z } from "zod";
import { StorageError } from "../errors/storage-error.js";
import { FS_TYPES } from "../model/volume.js";

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
 * What Granary knows of a volume's format, kept with the volume. `volumeId` is the volume it was written for: a copy of it
 * with a clone's image tells itself apart by that.
 */
export type FormatRecord = z.infer<typeof Shape>;

/**
 * The record, or undefined for an absent or an empty text.
 *
 * @param where names the record to people
 * @throws StorageError failed-precondition when it cannot be understood: it is then not absent either
 */
export function parseFormatRecord(text: string | undefined, where: string): FormatRecord | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    return Shape.parse(JSON.parse(text));
  } catch (error) {
    throw new StorageError(
      "failed-precondition",
      `the format record ${where} is damaged; the volume is left as it is`,
      {
        cause: error,
      },
    );
  }
}
