import { closeSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import type { Logger } from "pino";
import { messageOf } from "../../../../errors/storage-error.js";
import { step } from "../../../../runtime/steps.js";
import { isMissing, openFile, removeFile, syncFolder } from "./disk.js";
import { bodyPath, generationPath } from "./generation-folders.js";
import { type BodyId, type Garbage, generationOf } from "./types.js";

const BATCH = 512;
/** Unlinks under way at once: more would take the threads from requests. */
const PARALLEL = 4;
const RETRY_MS = 5000;

export interface CollectorOptions {
  /** The folder of bodies. */
  readonly dir: string;
  readonly garbage: Garbage;
  readonly log: Logger;
  /** Told of every batch that went. */
  readonly onCollected?: (bodies: number) => void;
}

/**
 * Unlinks garbage, then has it forgotten. A crash in between leaves records of files that are gone, and the next pass
 * forgets those; never a file without a record, since a folder is synced before its records go.
 */
export class Collector {
  readonly #options: CollectorOptions;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** There is garbage, or a reader that held some is gone. Returns at once. */
  kick(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Settles when all that could go at the call is gone, or has failed once. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async close(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.settled();
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        for (;;) {
          const bodies = await this.#options.garbage.take(BATCH);
          if (bodies.length === 0 || this.#stopped) break;
          await this.#collect(bodies);
        }
      } catch (error) {
        this.#options.log.warn({ error: messageOf(error) }, "space could not be reclaimed; it is tried again");
        clearTimeout(this.#retry);
        this.#retry = setTimeout(() => this.kick(), RETRY_MS);
        this.#retry.unref();
      }
    }
  }

  async #collect(bodies: readonly BodyId[]): Promise<void> {
    const { dir, garbage, onCollected } = this.#options;
    const rest = [...bodies];
    const lanes = Array.from({ length: PARALLEL }, async () => {
      for (let bodyId = rest.pop(); bodyId !== undefined; bodyId = rest.pop()) await removeFile(bodyPath(dir, bodyId));
    });
    await Promise.all(lanes);
    const generations = [...new Set(bodies.map(generationOf))];
    for (const generation of generations) await syncGeneration(dir, generation);
    step("object-garbage/unlinked");
    await garbage.forget(bodies);
    onCollected?.(bodies.length);
    for (const generation of generations) if (!garbage.isOpen(generation)) await removeIfEmpty(dir, generation);
  }
}

/** Nothing to sync in a folder that is gone. */
export async function syncGeneration(dir: string, generation: number): Promise<void> {
  let fd: number;
  try {
    fd = await openFile(generationPath(dir, generation), "r");
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  try {
    await syncFolder(fd);
  } finally {
    closeSync(fd);
  }
}

/** A sealed generation gets no more bodies, so its empty folder is of no use. One that holds some, or is gone, is left. */
export async function removeIfEmpty(dir: string, generation: number): Promise<void> {
  await rmdir(generationPath(dir, generation)).catch(() => undefined);
}
