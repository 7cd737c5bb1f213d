import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readIfPresent, writeDurably } from "../../os/durable-file.js";
import { type FormatRecord, parseFormatRecord } from "../format-record.js";

/** The format record of a local volume lies beside its image as `format.json`. */
const recordPath = (image: string) => join(dirname(image), "format.json");

/**
 * The record, or undefined when there is none: no file, or the empty one that a new image has beside it.
 *
 * @throws StorageError failed-precondition when the record cannot be understood
 */
export async function readFormatRecord(image: string): Promise<FormatRecord | undefined> {
  const path = recordPath(image);
  return parseFormatRecord(await readIfPresent(path), path);
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
