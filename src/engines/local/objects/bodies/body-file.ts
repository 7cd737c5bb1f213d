import { closeSync } from "node:fs";
import { DIRECT, isRefusedAsDirect, openFile, syncData, writeAll } from "./disk.js";
import { PAGE_BYTES } from "./format.js";

/** Whether bodies can be written past the page cache here. The first refusal is the answer for the process. */
export class DirectWrites {
  #refused = false;

  get usable(): boolean {
    return !this.#refused;
  }

  refused(): void {
    this.#refused = true;
  }
}

/**
 * A body's file while it is written, open twice where its bytes go past the page cache: what is no whole page of it, and
 * all where the file system refuses, goes through the cache. A sync is one of the file, whichever way its bytes came.
 */
export class BodyFile {
  readonly #fd: number;
  readonly #direct: DirectWrites | undefined;
  #directFd: number | undefined;

  private constructor(fd: number, direct: DirectWrites | undefined, directFd: number | undefined) {
    this.#fd = fd;
    this.#direct = direct;
    this.#directFd = directFd;
  }

  /** The file must not be there. `direct` undefined: through the page cache. */
  static async create(path: string, direct: DirectWrites | undefined): Promise<BodyFile> {
    const fd = await openFile(path, "wx");
    if (!direct?.usable) return new BodyFile(fd, undefined, undefined);
    try {
      return new BodyFile(fd, direct, await openFile(path, DIRECT));
    } catch (error) {
      if (isRefusedAsDirect(error)) {
        direct.refused();
        return new BodyFile(fd, undefined, undefined);
      }
      closeSync(fd);
      throw error;
    }
  }

  /** Bytes are on the device when they are written, but for its own cache and for those of no whole page. */
  get isDirect(): boolean {
    return this.#directFd !== undefined;
  }

  /** `position` is a page's boundary, and the bytes lie at one. One call at a time. */
  async write(bytes: Buffer, position: number): Promise<void> {
    const pages = await this.#writePages(bytes.subarray(0, bytes.length - (bytes.length % PAGE_BYTES)), position);
    await writeAll(this.#fd, bytes.subarray(pages), position + pages);
  }

  /** Settles when all that was written before is durable, with the file's length. */
  sync(): Promise<void> {
    return syncData(this.#fd);
  }

  close(): void {
    this.#closeDirect();
    closeSync(this.#fd);
  }

  /** How many bytes it took: all or none. */
  async #writePages(pages: Buffer, position: number): Promise<number> {
    if (this.#directFd === undefined) return 0;
    try {
      await writeAll(this.#directFd, pages, position);
      return pages.length;
    } catch (error) {
      if (!isRefusedAsDirect(error)) throw error;
      this.#direct?.refused();
      this.#closeDirect();
      return 0;
    }
  }

  #closeDirect(): void {
    if (this.#directFd !== undefined) closeSync(this.#directFd);
    this.#directFd = undefined;
  }
}
