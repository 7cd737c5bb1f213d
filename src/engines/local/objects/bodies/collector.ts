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
/** Before a file that could not be removed is tried again: the first time, and at most. Each failure doubles it. */
const RETRY_MS = 5000;
const MAX_RETRY_MS = 300_000;
/** With more than these it is the disk and not its files: what is known to fail is tried again, and nothing else. */
const MAX_STUCK = 4 * BATCH;

export interface CollectorOptions {
  /** The folder of bodies. */
  readonly dir: string;
  readonly garbage: Garbage;
  readonly log: Logger;
  /** Told of every batch that went. */
  readonly onCollected?: (bodies: number) => void;
  /** In place of RETRY_MS; for tests. */
  readonly retryMs?: number;
}

/**
 * Unlinks garbage, then has it forgotten. A crash in between leaves records of files that are gone, and the next pass
 * forgets those; never a file without a record, since a folder is synced before its records go. A file that cannot be
 * removed is passed over and tried again later, so that it holds up no other.
 */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #stuck = new Map<BodyId, { waitMs: number; retryAtMs: number }>();
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #told = "";

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Files that could not be removed when it was last tried. */
  get stuck(): number {
    return this.#stuck.size;
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
    await this.settled();
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        await this.#pass();
        this.#told = "";
      } catch (error) {
        const message = messageOf(error);
        // It is tried again several times a second.
        if (message !== this.#told)
          this.#options.log.warn({ error: message }, "space could not be reclaimed; it is tried again");
        this.#told = message;
      }
    }
  }

  /** Goes through all garbage once, from the lowest body to the highest. */
  async #pass(): Promise<void> {
    for (let after = 0; !this.#stopped; ) {
      const bodies = await this.#options.garbage.take(BATCH, after);
      const last = bodies.at(-1);
      if (last === undefined || this.#stopped) return;
      after = last;
      const tried = this.#toTry(bodies);
      if (tried.length > 0) await this.#collect(tried);
      if (this.#stuck.size >= MAX_STUCK) return;
    }
  }

  #toTry(bodies: readonly BodyId[]): BodyId[] {
    const now = performance.now();
    let room = MAX_STUCK - this.#stuck.size;
    return bodies.filter((bodyId) => {
      const stuck = this.#stuck.get(bodyId);
      return stuck ? stuck.retryAtMs <= now : room-- > 0;
    });
  }

  async #collect(bodies: readonly BodyId[]): Promise<void> {
    const { dir, garbage, onCollected } = this.#options;
    const failed = new Map<BodyId, unknown>();
    const rest = [...bodies];
    const lanes = Array.from({ length: PARALLEL }, async () => {
      for (let bodyId = rest.pop(); bodyId !== undefined; bodyId = rest.pop())
        await removeFile(bodyPath(dir, bodyId)).catch((error: unknown) => failed.set(bodyId as BodyId, error));
    });
    await Promise.all(lanes);
    const unlinked = bodies.filter((bodyId) => !failed.has(bodyId));
    const generations = [...new Set(unlinked.map(generationOf))];
    for (const generation of generations)
      await syncGeneration(dir, generation).catch((error: unknown) => {
        for (const bodyId of unlinked) if (generationOf(bodyId) === generation) failed.set(bodyId, error);
      });
    const gone = unlinked.filter((bodyId) => !failed.has(bodyId));
    this.#postpone(failed);
    if (gone.length === 0) return;
    step("object-garbage/unlinked");
    await garbage.forget(gone);
    for (const bodyId of gone) this.#stuck.delete(bodyId);
    onCollected?.(gone.length);
    for (const generation of generations) if (!garbage.isOpen(generation)) await removeIfEmpty(dir, generation);
  }

  /** Told each time that they were tried, which is less and less often. */
  #postpone(failed: ReadonlyMap<BodyId, unknown>): void {
    const { retryMs = RETRY_MS, dir, log } = this.#options;
    for (const bodyId of failed.keys()) {
      const waitMs = Math.min(2 * (this.#stuck.get(bodyId)?.waitMs ?? retryMs / 2), MAX_RETRY_MS);
      this.#stuck.set(bodyId, { waitMs, retryAtMs: performance.now() + waitMs });
    }
    for (const [bodyId, error] of failed) {
      const details = { files: failed.size, first: bodyPath(dir, bodyId), error: messageOf(error) };
      log.warn(details, "files of deleted objects could not be removed; they are tried again, the others go on");
      return;
    }
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
