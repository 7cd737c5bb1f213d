import type { Report, Row } from "../report.js";
import { rotated } from "../statistics.js";
import {
  COLUMN_NOTES,
  COLUMNS,
  measurementsOf,
  RATIO_COLUMNS,
  type Rounds,
  ratioRow,
  rivalOf,
  rowsOf,
} from "./comparison.js";
import type { ObjectOperation } from "./contenders.js";
import { type Measurement, measureLoad } from "./measured-load.js";
import type { ObjectServer } from "./object-server.js";
import { type ObjectRun, withServers } from "./run.js";

interface Work {
  benchmark: string;
  title: string;
  sizeBytes: number;
  clients: number;
  /** In this order in each round; what a PUT wrote is there for those after it, and a DELETE ends the round. */
  operations: readonly ObjectOperation[];
  /** How many times as fast as its rival Granary has to be; what has no factor is shown alone. */
  factors: Partial<Record<ObjectOperation, number>>;
  seconds: number;
  /** PUT ends earlier when it has written so many. */
  maxKeys: number;
}

/** 4 KiB objects, 32 clients. */
export function benchSmall(run: ObjectRun): Promise<Report> {
  const seconds = run.quick ? 1 : 5;
  return benchObjects(run, {
    benchmark: "small",
    title: "4 KiB objects, 32 clients",
    sizeBytes: 4096,
    clients: 32,
    operations: ["PUT", "GET", "HEAD", "DELETE"],
    factors: { PUT: 1.5, GET: 1.5, HEAD: 1.5, DELETE: 1.5 },
    seconds,
    maxKeys: seconds * 15_000,
  });
}

/** 64 MiB objects, 4 clients. */
export function benchLarge(run: ObjectRun): Promise<Report> {
  return benchObjects(run, {
    benchmark: "large",
    title: "64 MiB objects, 4 clients",
    sizeBytes: 64 * 1024 ** 2,
    clients: 4,
    operations: ["PUT", "GET", "DELETE"],
    factors: { PUT: 1, GET: 1 },
    seconds: run.quick ? 1 : 6,
    maxKeys: run.quick ? 4 : 32,
  });
}

const keyOf = (operation: ObjectOperation, server: ObjectServer) => `${operation} ${server.contender.name}`;

async function benchObjects(run: ObjectRun, work: Work): Promise<Report> {
  const found = new Map<string, Measurement[]>();
  await withServers(run, run.contenders, async (servers) => {
    for (let round = 0; round <= run.rounds; round++) {
      const said = round === 0 ? "warm-up" : `round ${round} of ${run.rounds}`;
      run.progress(`${work.title}: ${said}`);
      const measured = await oneRound(run, work, rotated(servers, round));
      // The first one warms up compilers and caches.
      if (round === 0) continue;
      for (const [key, measurement] of measured) found.set(key, [...(found.get(key) ?? []), measurement]);
    }
  });
  return reportOf(run, work, found);
}

/** Every operation on every server, one after the other: what drifts during a run meets all of them. */
async function oneRound(
  run: ObjectRun,
  work: Work,
  servers: readonly ObjectServer[],
): Promise<Map<string, Measurement>> {
  const measured = new Map<string, Measurement>();
  const keys = new Map<ObjectServer, number>();
  for (const operation of work.operations) {
    for (const server of servers.filter(({ contender }) => contender.operations.includes(operation))) {
      const count = operation === "PUT" ? work.maxKeys : (keys.get(server) ?? 0);
      if (count === 0) continue;
      const measurement = await measureLoad(run, server, {
        operation,
        sizeBytes: work.sizeBytes,
        clients: work.clients,
        // A DELETE that stopped early would leave its objects to the next round.
        maxSeconds: operation === "DELETE" ? 120 : work.seconds,
        layout: "spread",
        firstKey: 0,
        keys: count,
        compareOneOf: 4,
      });
      if (operation === "PUT") keys.set(server, measurement.nextKey);
      measured.set(keyOf(operation, server), measurement);
    }
  }
  return measured;
}

function reportOf(run: ObjectRun, work: Work, found: ReadonlyMap<string, Measurement[]>): Report {
  const rows: Row[] = [];
  const ratios: Row[] = [];
  const measurements: Record<string, readonly number[]> = {};
  for (const operation of work.operations) {
    const all = run.contenders.map(
      (contender): Rounds => ({ contender, rounds: found.get(`${operation} ${contender.name}`) ?? [] }),
    );
    const ours = all.find(({ contender }) => contender.name === "granary");
    const peers = all.filter(({ contender }) => contender.name !== "granary");
    const rival = rivalOf(operation, peers);
    rows.push(...rowsOf(operation, all, rival, work.factors[operation]));
    ratios.push(...ratioRow(operation, ours, rival, peers));
    Object.assign(measurements, measurementsOf(`${work.benchmark} ${operation}`, all));
  }
  const counted = `${run.rounds} interleaved rounds of ${work.seconds} s at most`;
  return {
    benchmark: work.benchmark,
    measurements,
    sections: [
      {
        title: `${work.title}: ${counted}`,
        columns: COLUMNS,
        rows,
        notes: [
          ...COLUMN_NOTES,
          "Each PUT is signed with its body's hash and has a new key; reads draw from those keys by chance, and a quarter " +
            "of the bodies is compared; a DELETE takes each key once.",
          "The target is the ratio to the best peer that syncs for PUT and DELETE, and to the best of all for GET and HEAD.",
        ],
      },
      ...(ratios.length === 0
        ? []
        : [{ title: `${work.title}: Granary against the others`, columns: RATIO_COLUMNS, rows: ratios, notes: [] }]),
    ],
  };
}
