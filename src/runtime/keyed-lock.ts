import { StorageError } from "../errors/storage-error.js";

/**
 * One operation at a time for one key. A second one does not wait: it gets ABORTED with the first's name and age (CSI
 * spec, "Concurrency"), since a sidecar that retries is cheaper than a queue behind a hung tool.
 */
export class KeyedLock {
  readonly #held = new Map<string, { operation: string; sinceMs: number }>();

  async run<T>(keys: readonly string[], operation: string, work: () => Promise<T>): Promise<T> {
    const wanted = [...new Set(keys)];
    for (const key of wanted) {
      const holder = this.#held.get(key);
      if (holder) {
        const ageMs = Date.now() - holder.sinceMs;
        throw new StorageError(
          "aborted",
          `${holder.operation} has been running on ${key} for ${ageMs} ms; retry when it is done`,
        );
      }
    }
    for (const key of wanted) this.#held.set(key, { operation, sinceMs: Date.now() });
    try {
      return await work();
    } finally {
      for (const key of wanted) this.#held.delete(key);
    }
  }

  get size(): number {
    return this.#held.size;
  }
}
