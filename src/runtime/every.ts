/**
 * Runs the work again and again, `ms` milliseconds after it last ended, never twice at once. The work handles its own
 * failures.
 *
 * @returns what ends it: aborts the work's signal and waits for it
 */
export function every(ms: number, work: (signal: AbortSignal) => Promise<void>): () => Promise<void> {
  const stopped = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  const wait = () => {
    if (stopped.signal.aborted) return;
    timer = setTimeout(() => {
      running = work(stopped.signal).finally(wait);
    }, ms);
  };
  wait();
  return async () => {
    stopped.abort();
    clearTimeout(timer);
    await running;
  };
}
