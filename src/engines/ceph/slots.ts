import { StorageError } from "../../errors/storage-error.js";

/** At most so many at a time; the others wait in line, as long as their request lives. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** @throws StorageError deadline-exceeded or cancelled when the signal fired before it was this one's turn */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        const place = this.#waiting.indexOf(enter);
        if (place >= 0) this.#waiting.splice(place, 1);
        const timedOut = (signal.reason as Error | undefined)?.name === "TimeoutError";
        const code = timedOut ? "deadline-exceeded" : "cancelled";
        reject(new StorageError(code, "the request ended while it waited for other tools of Ceph to end"));
      };
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(enter);
    });
  }
}
