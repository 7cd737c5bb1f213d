/** The numbers that a benchmark is judged by. Pure. */

/** Ascending, without changing the argument. */
const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);

/**
 * The smallest of the values that at least `percent` of them do not exceed (nearest rank): always a value that was
 * measured. Of fewer than 100 values the 99th percentile is the largest.
 *
 * @throws RangeError without values, or for a percentage outside 0 to 100
 */
export function percentile(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new RangeError("a percentile needs values");
  if (!(percent >= 0 && percent <= 100)) throw new RangeError(`${percent} is no percentage`);
  const rank = Math.max(1, Math.ceil((percent / 100) * values.length));
  return ascending(values)[rank - 1] as number;
}

/** The middle value, or the mean of the two middle ones. @throws RangeError without values */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("a median needs values");
  const sorted = ascending(values);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

export interface Comparison {
  /** Median of the ones over median of the others. */
  ratio: number;
  /** Median of the ratios of each round by itself: what drifts during a run is in both halves of a pair. */
  pairwise: number;
  /** The quartiles of the rounds' ratios: how far one round is from the next. */
  spread: readonly [number, number];
}

/** Compares rounds that were run one beside the other. @throws RangeError for lists of different or no length */
export function compare(ours: readonly number[], theirs: readonly number[]): Comparison {
  if (ours.length !== theirs.length) throw new RangeError(`${ours.length} rounds against ${theirs.length}`);
  const ratios = ours.map((value, i) => value / (theirs[i] as number));
  return {
    ratio: median(ours) / median(theirs),
    pairwise: median(ratios),
    spread: [percentile(ratios, 25), percentile(ratios, 75)],
  };
}

/** The longest of times over the shortest: 1 when all are the same. */
export function timesApart(times: readonly number[]): number {
  return Math.max(...times) / Math.min(...times);
}

/** The order of a round: each round starts with another one, so that none is always the first or after the same. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const from = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(from), ...items.slice(0, from)];
}
