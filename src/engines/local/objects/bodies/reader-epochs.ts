/**
 * Which garbage no reader can come to any more. An epoch is a number that the metadata's writer raises when it makes
 * garbage, and that a reader finds in the snapshot it looks things up in. A body that became garbage in epoch E may be
 * named by snapshots of before E alone: it may go when every reader and every process is at E or later.
 */
export class ReaderEpochs {
  /** Open readers by the epoch they began in; insertion order is epoch order, nearly: oldest() looks at all. */
  readonly #open = new Map<number, number>();

  /** A reader begins, in a snapshot of this epoch. Call what it returns once, at its end. */
  enter(epoch: number): () => void {
    this.#open.set(epoch, (this.#open.get(epoch) ?? 0) + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const others = (this.#open.get(epoch) as number) - 1;
      if (others === 0) this.#open.delete(epoch);
      else this.#open.set(epoch, others);
    };
  }

  /** The epoch of the oldest open reader; without one, `current`: that of the snapshot which the next one would get. */
  oldest(current: number): number {
    let least = current;
    for (const epoch of this.#open.keys()) if (epoch < least) least = epoch;
    return least;
  }
}

/** The writer's side: what each process said last of its oldest reader. */
export class EpochReports {
  readonly #oldest = new Map<number, number>();

  /** A process that reads began; until it reports, nothing goes. */
  add(process: number): void {
    this.#oldest.set(process, 0);
  }

  report(process: number, oldest: number): void {
    if (this.#oldest.has(process)) this.#oldest.set(process, oldest);
  }

  /** It ended, and its readers with it. */
  remove(process: number): void {
    this.#oldest.delete(process);
  }

  /** Garbage of this epoch and before may go. */
  horizon(current: number): number {
    return Math.min(current, ...this.#oldest.values());
  }
}
