import { statfs } from "node:fs/promises";
import { refused } from "../../../../errors/storage-error.js";
import { diskFailure } from "./disk.js";

/** The reserve: 2 % of the disk, within these bounds. */
const RESERVE_PART = 0.02;
const LEAST_RESERVE_BYTES = 8 * 1024 ** 2;
const MOST_RESERVE_BYTES = 1024 ** 3;
const FRESH_MS = 1000;

/** What bodies leave free of a disk of so many bytes. */
export const reserveOf = (totalBytes: number): number =>
  Math.max(LEAST_RESERVE_BYTES, Math.min(totalBytes * RESERVE_PART, MOST_RESERVE_BYTES));

/**
 * Keeps a part of the disk free of bodies, so that deletes and metadata always have room. What statfs said is good for a
 * second; what this process wrote since is taken off.
 */
export class FreeSpace {
  readonly #dir: string;
  #readMs = Number.NEGATIVE_INFINITY;
  #roomBytes = 0;
  #reading: Promise<void> | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws StorageError storage-full when so many bytes more would reach into the reserve */
  async require(bytes: number): Promise<void> {
    if (performance.now() - this.#readMs > FRESH_MS) await this.#read();
    // Too little by a second-old figure may be enough by now: a delete may have made room.
    if (bytes > this.#roomBytes) await this.#read();
    if (bytes > this.#roomBytes)
      throw refused(
        "storage-full",
        `the disk has no room for ${bytes} bytes more: a reserve is kept for metadata; delete objects, or grow the disk`,
      );
  }

  /** So many bytes are about to be written. True: look again with require(). */
  spend(bytes: number): boolean {
    this.#roomBytes -= bytes;
    return this.#roomBytes < 0 || performance.now() - this.#readMs > FRESH_MS;
  }

  #read(): Promise<void> {
    this.#reading ??= (async () => {
      try {
        const { bsize, bavail, blocks } = await statfs(this.#dir);
        this.#roomBytes = bavail * bsize - reserveOf(blocks * bsize);
        this.#readMs = performance.now();
      } catch (error) {
        throw diskFailure(error, "asking for free space");
      } finally {
        this.#reading = undefined;
      }
    })();
    return this.#reading;
  }
}
