import type { Cell, Row, Target } from "../report.js";
import { type Comparison, compare, median } from "../statistics.js";
import type { Contender, ObjectOperation } from "./contenders.js";
import type { Measurement } from "./measured-load.js";

/** One contender's rounds of one piece of work. */
export interface Rounds {
  contender: Contender;
  rounds: readonly Measurement[];
}

export const COLUMNS = [
  "ops/s",
  "MiB/s",
  "p50 ms",
  "p99 ms",
  "server CPU ms/op",
  "client CPU ms/op",
  "memory MiB",
  "of it anonymous",
] as const;

export const COLUMN_NOTES: readonly string[] = [
  "Medians of the rounds. CPU is that of the server's whole process tree, by /proc/PID/stat; memory is the most that its " +
    "proportional set size (Pss) was, sampled each second: pages of mapped files are in it, and the last column is without them.",
];

/** The numbers of COLUMNS. @throws RangeError without rounds */
export function cellsOf(rounds: readonly Measurement[]): Cell[] {
  const of = (value: (round: Measurement) => number) => median(rounds.map(value));
  return [
    of((round) => round.opsPerSecond),
    of((round) => round.mibPerSecond),
    of((round) => round.p50Ms),
    of((round) => round.p99Ms),
    of((round) => round.serverCpuMs),
    of((round) => round.clientCpuMs),
    of((round) => round.pssMib),
    of((round) => round.anonymousMib),
  ];
}

const speeds = ({ rounds }: Rounds) => rounds.map((round) => round.opsPerSecond);

/** The fastest by the median of its rounds; undefined of none. */
export function fastest(all: readonly Rounds[]): Rounds | undefined {
  const measured = all.filter(({ rounds }) => rounds.length > 0);
  return measured.reduce<Rounds | undefined>(
    (best, next) => (best === undefined || median(speeds(next)) > median(speeds(best)) ? next : best),
    undefined,
  );
}

/**
 * The peer that an operation's target is measured against. A write that is acknowledged before it is on disk is another
 * operation, so writes are held against peers that sync; a read is the same everywhere.
 */
export function rivalOf(operation: ObjectOperation, peers: readonly Rounds[]): Rounds | undefined {
  const writes = operation === "PUT" || operation === "DELETE";
  return fastest(peers.filter(({ contender }) => !writes || contender.synced));
}

/** Ours against theirs, by the speed of as many rounds as both have; undefined when one has none. */
export function ratioOf(ours: Rounds | undefined, theirs: Rounds | undefined): Comparison | undefined {
  if (ours === undefined || theirs === undefined) return undefined;
  const both = Math.min(ours.rounds.length, theirs.rounds.length);
  return both === 0 ? undefined : compare(speeds(ours).slice(0, both), speeds(theirs).slice(0, both));
}

/** A row for each contender; Granary's has the target, where there is a rival to hold it against. */
export function rowsOf(what: string, all: readonly Rounds[], rival: Rounds | undefined, factor?: number): Row[] {
  return all
    .filter(({ rounds }) => rounds.length > 0)
    .map((one) => {
      const row: Row = { name: `${what}: ${one.contender.title}`, cells: cellsOf(one.rounds) };
      const ratio = one.contender.name === "granary" && factor !== undefined ? ratioOf(one, rival) : undefined;
      if (ratio === undefined || factor === undefined) return row;
      const target: Target = { value: ratio.ratio, atLeast: factor };
      return { ...row, target };
    });
}

export const RATIO_COLUMNS = [
  "rival of the target",
  "ratio",
  "ratio a round",
  "its quartiles",
  "best synced peer",
  "best of all",
];

/** Granary against its rivals, in one row. */
export function ratioRow(
  what: string,
  ours: Rounds | undefined,
  rival: Rounds | undefined,
  peers: readonly Rounds[],
): Row[] {
  const ratio = ratioOf(ours, rival);
  if (ratio === undefined || rival === undefined) return [];
  const against = (other: Rounds | undefined) => {
    const compared = ratioOf(ours, other);
    return compared === undefined ? "" : `${compared.ratio.toFixed(3)} (${other?.contender.title})`;
  };
  const cells = [
    rival.contender.title,
    ratio.ratio.toFixed(3),
    ratio.pairwise.toFixed(3),
    ratio.spread.map((quartile) => quartile.toFixed(3)).join(" to "),
    against(fastest(peers.filter(({ contender }) => contender.synced))),
    against(fastest(peers)),
  ];
  return [{ name: what, cells }];
}

/** Every round's figures, for the JSON. */
export function measurementsOf(what: string, all: readonly Rounds[]): Record<string, readonly number[]> {
  const entries = all.flatMap(({ contender, rounds }): [string, readonly number[]][] => [
    [`${what}, ${contender.name}, ops/s`, rounds.map((round) => round.opsPerSecond)],
    [`${what}, ${contender.name}, p50 ms`, rounds.map((round) => round.p50Ms)],
    [`${what}, ${contender.name}, p99 ms`, rounds.map((round) => round.p99Ms)],
    [`${what}, ${contender.name}, max ms`, rounds.map((round) => round.maxMs)],
    [`${what}, ${contender.name}, server CPU ms/op`, rounds.map((round) => round.serverCpuMs)],
    [`${what}, ${contender.name}, client CPU ms/op`, rounds.map((round) => round.clientCpuMs)],
    [`${what}, ${contender.name}, memory MiB`, rounds.map((round) => round.pssMib)],
    [`${what}, ${contender.name}, reconnects`, rounds.map((round) => round.reconnects)],
  ]);
  return Object.fromEntries(entries.filter(([, values]) => values.length > 0));
}
