const COLD_MS = 1000;
/** From the page cache a call takes some 10 us and 16 GiB/s; a disk takes longer than this for any of them. */
const CALL_MS = 0.2;
const WARM_BYTES_PER_MS = 2 ** 20;

/**
 * Whether what is read lies in memory already. Then a synchronous call is cheapest by far: a trip to another thread
 * costs 25 us and leaves the bytes in another core's cache, where the hash and the socket then look for them. Once a call
 * has waited for a disk all go by way of threads for a second, so a process waits for disks once a second at most; the
 * metadata's pages, which are mapped, make it wait just so.
 */
export class ReadPace {
  #coldUntilMs = 0;

  get warm(): boolean {
    return performance.now() >= this.#coldUntilMs;
  }

  /** Runs a synchronous call that is to move so many bytes. */
  timed<T>(bytes: number, call: () => T): T {
    const startMs = performance.now();
    try {
      return call();
    } finally {
      const endMs = performance.now();
      if (endMs - startMs > CALL_MS + bytes / WARM_BYTES_PER_MS) this.#coldUntilMs = endMs + COLD_MS;
    }
  }
}
