import { statfsSync } from "node:fs";
import { refused, type StorageError } from "../../../../errors/storage-error.js";
import { reserveOf } from "../bodies/free-space.js";
import type { CommittedName } from "../protocol.js";

const FRESH_MS = 250;
/** LMDB writes each page that a change touches anew, down from the root. */
const PAGES_BYTES = 32 * 1024;
/** With less than this, a failed write is taken for one that found no room: LMDB answers EIO for both. */
const FULL_BYTES = 1024 ** 2;

/** What makes the metadata grow. Everything else may use the last of the disk: it deletes, or it is needed to delete. */
const GROWS: ReadonlySet<CommittedName> = new Set<CommittedName>([
  "createBucket",
  "put",
  "copy",
  "createUpload",
  "putPart",
  "createUser",
]);

/**
 * Refuses what makes the metadata grow while there is still room to delete: bodies stop at the disk's reserve, and the
 * metadata at half of it.
 */
export class MetadataRoom {
  readonly #dir: string;
  #readMs = Number.NEGATIVE_INFINITY;
  #roomBytes = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws StorageError storage-full where `operation`, asked for in so many bytes, may not go on */
  require(operation: CommittedName, bytes: number): void {
    if (!GROWS.has(operation)) return;
    const wanted = bytes + PAGES_BYTES;
    if (performance.now() - this.#readMs > FRESH_MS) this.#read();
    if (wanted > this.#roomBytes)
      throw refused("storage-full", "the disk is nearly full: delete objects, or grow the disk");
    this.#roomBytes -= wanted;
  }

  /** What a commit's failure means, where it is for want of room. */
  failure(): StorageError | undefined {
    try {
      const { bavail, bsize } = statfsSync(this.#dir);
      return bavail * bsize < FULL_BYTES ? refused("storage-full", "no space is left on the store's disk") : undefined;
    } catch {
      return undefined;
    }
  }

  #read(): void {
    try {
      const { bavail, bsize, blocks } = statfsSync(this.#dir);
      this.#roomBytes = bavail * bsize - reserveOf(blocks * bsize) / 2;
    } catch {
      // A disk that does not answer is the commit's to find.
      this.#roomBytes = Number.POSITIVE_INFINITY;
    }
    this.#readMs = performance.now();
  }
}
