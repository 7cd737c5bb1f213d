import { closeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { messageOf, StorageError } from "../../../../errors/storage-error.js";
import { step } from "../../../../runtime/steps.js";
import { diskFailure, isTaken, openFile, removeFile, syncFolder } from "./disk.js";
import { slotOf } from "./format.js";
import { BODIES_PER_GENERATION, type BodyId, type Generations, generationOf } from "./types.js";

/** Folders of a metadata that was put back to an older state are in the way of its next generations; so many are passed. */
const MAX_TAKEN_GENERATIONS = 1000;
/** The next generation is leased when so many slots are left, so that no write waits for it. */
const LEASE_AHEAD = 512;

export const generationPath = (dir: string, generation: number): string =>
  join(dir, generation.toString(16).padStart(8, "0"));

export const bodyPath = (dir: string, bodyId: BodyId): string =>
  join(generationPath(dir, generationOf(bodyId)), slotOf(bodyId).toString(16).padStart(3, "0"));

/** One leased folder. Writers in it share the syncs of its entries. */
export class GenerationFolder {
  readonly generation: number;
  readonly #fd: number;
  #nextSlot = 0;
  #unsettled = 0;
  #retired = false;
  #leftBehind = false;
  #syncing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  readonly #seal: (folder: GenerationFolder) => void;

  constructor(generation: number, fd: number, seal: (folder: GenerationFolder) => void) {
    this.generation = generation;
    this.#fd = fd;
    this.#seal = seal;
  }

  get slotsLeft(): number {
    return this.#retired ? 0 : BODIES_PER_GENERATION - this.#nextSlot;
  }

  takeSlot(): BodyId {
    this.#unsettled++;
    return this.generation * BODIES_PER_GENERATION + this.#nextSlot++;
  }

  /**
   * Settles when every entry made before the call is durable. A sync that runs already may have begun before the
   * caller's file was made, so all who come meanwhile wait for the one after it.
   */
  sync(): Promise<void> {
    if (this.#syncing === undefined) {
      this.#syncing = syncFolder(this.#fd).finally(() => {
        this.#syncing = undefined;
      });
      return this.#syncing;
    }
    if (this.#next === undefined) {
      this.#next = this.#syncing
        .catch(() => undefined)
        .then(() => {
          this.#next = undefined;
          return this.sync();
        });
    }
    return this.#next;
  }

  /** A body is in the metadata, or its file is gone; `leftBehind`: the file could not be removed, the sweep must. */
  settle(leftBehind = false): void {
    this.#unsettled--;
    this.#leftBehind ||= leftBehind;
    this.#sealWhenDone();
  }

  /** Takes no more bodies. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#sealWhenDone();
  }

  closeFolder(): void {
    closeSync(this.#fd);
  }

  /** What was unlinked must not come back after the generation is sealed, so its folder is synced once more before. */
  #sealWhenDone(): void {
    if (this.#retired && this.#unsettled === 0 && !this.#leftBehind) this.#seal(this);
  }
}

/** The folders that this process writes into. */
export class GenerationFolders {
  readonly #dir: string;
  readonly #generations: Generations;
  readonly #log: Logger;
  readonly #open = new Map<number, GenerationFolder>();
  readonly #sealing = new Set<Promise<void>>();
  #current: GenerationFolder | undefined;
  #spare: GenerationFolder | undefined;
  #leasing: Promise<GenerationFolder> | undefined;

  constructor(dir: string, generations: Generations, log: Logger) {
    this.#dir = dir;
    this.#generations = generations;
    this.#log = log;
  }

  /** A name for a new body, and the folder that it goes into. @throws StorageError what the lease throws */
  async takeSlot(): Promise<{ folder: GenerationFolder; bodyId: BodyId }> {
    while (this.#current === undefined || this.#current.slotsLeft === 0) {
      this.#current?.retire();
      this.#current = this.#spare ?? (await this.#lease());
      this.#spare = undefined;
    }
    const folder = this.#current;
    if (folder.slotsLeft === LEASE_AHEAD) this.#leaseSpare();
    return { folder, bodyId: folder.takeSlot() };
  }

  settle(bodyId: BodyId, leftBehind = false): void {
    this.#open.get(generationOf(bodyId))?.settle(leftBehind);
  }

  /** Unlinks a body and settles it. */
  async remove(bodyId: BodyId): Promise<void> {
    try {
      await removeFile(bodyPath(this.#dir, bodyId));
      step("object-body/discarded");
      this.settle(bodyId);
    } catch (error) {
      this.#log.warn({ bodyId, error: messageOf(error) }, "a body could not be removed; the next start sweeps it");
      this.settle(bodyId, true);
    }
  }

  /** Seals what is settled, and lets go of the rest. */
  async close(): Promise<void> {
    await this.#leasing?.catch(() => undefined);
    for (const folder of this.#open.values()) folder.retire();
    await Promise.all(this.#sealing);
    for (const folder of this.#open.values()) folder.closeFolder();
    this.#open.clear();
  }

  /** A failure is told when the slots are at their end, and the lease is tried again. */
  #leaseSpare(): void {
    this.#lease().then(
      (folder) => {
        if (folder !== this.#current) this.#spare = folder;
      },
      () => undefined,
    );
  }

  #lease(): Promise<GenerationFolder> {
    this.#leasing ??= this.#leaseFolder().finally(() => {
      this.#leasing = undefined;
    });
    return this.#leasing;
  }

  async #leaseFolder(): Promise<GenerationFolder> {
    for (let tries = 0; tries < MAX_TAKEN_GENERATIONS; tries++) {
      const generation = await this.#generations.lease();
      step("object-generation/leased");
      const path = generationPath(this.#dir, generation);
      try {
        await mkdir(path, { mode: 0o700 });
        await syncPath(this.#dir);
        step("object-generation/made");
        const folder = new GenerationFolder(generation, await openFile(path, "r"), (done) => this.#seal(done));
        this.#open.set(generation, folder);
        return folder;
      } catch (error) {
        // Left as open: the sweep of the next start looks at what is in it.
        if (!isTaken(error)) throw diskFailure(error, "making a folder for bodies");
      }
    }
    throw new StorageError(
      "failed-precondition",
      `${this.#dir} holds bodies of generations that the metadata does not know yet: was older metadata put back?`,
    );
  }

  #seal(folder: GenerationFolder): void {
    const sealing = (async () => {
      try {
        await folder.sync();
        await this.#generations.seal(folder.generation);
        this.#open.delete(folder.generation);
        folder.closeFolder();
      } catch (error) {
        const { generation } = folder;
        this.#log.warn({ generation, error: messageOf(error) }, "a generation stays open; the next start sweeps it");
      }
    })();
    this.#sealing.add(sealing);
    sealing.finally(() => this.#sealing.delete(sealing)).catch(() => undefined);
  }
}

async function syncPath(path: string): Promise<void> {
  const fd = await openFile(path, "r");
  try {
    await syncFolder(fd);
  } finally {
    closeSync(fd);
  }
}
