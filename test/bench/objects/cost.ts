import type { Report, Row, Section } from "../report.js";
import { median, percentile } from "../statistics.js";
import type { Contender } from "./contenders.js";
import { fillBucket } from "./fill.js";
import { measureLoad } from "./measured-load.js";
import type { ObjectServer } from "./object-server.js";
import { treeMemory } from "./process-tree.js";
import { type ObjectRun, withServers } from "./run.js";

const FEW_OBJECTS = 1000;
const MAX_START_RATIO = 1.5;

interface Cost {
  contender: Contender;
  objects: number;
  startsMs: readonly number[];
  pssMib: number;
  anonymousMib: number;
}

/**
 * Restarts servers that hold many objects, and fresh ones that hold few, and has each do the same small work: what they
 * hold in memory then, and how soon they answered.
 */
export async function benchCost(
  run: ObjectRun,
  filled: readonly ObjectServer[],
  objectsOf: (contender: Contender) => number,
  objectBytes: number,
): Promise<{ sections: readonly Section[]; measurements: Report["measurements"] }> {
  const contenders = filled.map(({ contender }) => contender);
  const few = await withServers(run, contenders, async (servers) => {
    const costs: Cost[] = [];
    for (const server of servers) {
      await fillBucket(run, server, "full", FEW_OBJECTS, objectBytes);
      costs.push(await costOf(run, server, FEW_OBJECTS, objectBytes));
    }
    return costs;
  });
  const many: Cost[] = [];
  for (const server of filled) many.push(await costOf(run, server, objectsOf(server.contender), objectBytes));
  const rows = few.flatMap((small): Row[] => {
    const large = many.find(({ contender }) => contender === small.contender);
    return large === undefined ? [] : [rowOf(small), rowOf(large, small)];
  });
  const measurements = Object.fromEntries(
    [...few, ...many].map((cost) => [`start, ${cost.contender.name}, ${cost.objects} objects, ms`, cost.startsMs]),
  );
  return { measurements, sections: [sectionOf(rows)] };
}

async function costOf(run: ObjectRun, server: ObjectServer, objects: number, sizeBytes: number): Promise<Cost> {
  const startsMs: number[] = [];
  for (let i = 0; i < (run.quick ? 2 : 7); i++) {
    run.progress(`${server.contender.title} with ${objects} objects: start ${i + 1}`);
    await server.restart();
    startsMs.push(server.startMs);
  }
  // The same for every number of objects: 1,000 reads of 1,000 keys.
  await measureLoad(run, server, {
    operation: "GET",
    bucket: "full",
    sizeBytes,
    layout: "listing",
    clients: 8,
    maxSeconds: 2,
    firstKey: 0,
    keys: FEW_OBJECTS,
    compareOneOf: 1,
  });
  return { contender: server.contender, objects, startsMs, ...treeMemory(server.pid) };
}

function rowOf(cost: Cost, few?: Cost): Row {
  const start = median(cost.startsMs);
  const row: Row = {
    name: `${cost.contender.title}, ${cost.objects.toLocaleString("en-US")} objects`,
    cells: [start, percentile(cost.startsMs, 100), cost.pssMib, cost.anonymousMib],
  };
  if (few === undefined || cost.contender.name !== "granary") return row;
  return { ...row, target: { value: start / median(few.startsMs), atMost: MAX_START_RATIO } };
}

const sectionOf = (rows: readonly Row[]): Section => ({
  title: "Start-up and memory by the number of objects",
  columns: ["start ms, median", "start ms, longest", "memory MiB", "of it anonymous"],
  rows,
  notes: [
    "From the process's start to its first answer to a signed request, on a warm page cache; the target is the ratio of " +
      "the start with many objects to the start with few. Memory (Pss) after 2 s of GETs of the same 1,000 objects.",
  ],
});
