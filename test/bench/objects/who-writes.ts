/**
 * Who is to write metadata: the numbers of docs/decisions/008. Puts of 4 KiB by two processes with 16 callers each, every
 * commit synced: through the object store's writer; by each process itself, which compete for LMDB's lock; and, in one
 * process, by lmdb-js' asynchronous transactions. The last two put bare rows: no socket, no rules, no quotas.
 *
 *   node dist/test/bench/objects/who-writes.js [folder] [seconds]
 */
import cluster from "node:cluster";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openObjectEngine, startObjectWriter } from "../../../src/engines/local/objects/index.js";
import { openTables, type Tables } from "../../../src/engines/local/objects/tables.js";
import { BUCKET, ctx, newBucket, putOf } from "./engine-calls.js";

const PROCESSES = 2;
const CALLERS = 16;
const BODY = Buffer.alloc(4096, "4 KiB ");
const RECORD = Buffer.alloc(200, "record");

type Way = "writer" | "compete" | "asynchronous";
interface Job {
  way: Way;
  dir: string;
  ms: number;
}

/** Answers how many were put by `callers` at once until the time is over. */
async function during(ms: number, callers: number, put: (key: string) => unknown): Promise<number> {
  const end = performance.now() + ms;
  let count = 0;
  const lanes = Array.from({ length: callers }, async (_, lane) => {
    for (let i = 0; performance.now() < end; i++) {
      await put(`${process.pid}-${lane}-${i}`);
      count++;
    }
  });
  await Promise.all(lanes);
  return count;
}

function bareRows({ objects, inline }: Tables, name: string): void {
  const key = Buffer.from(name);
  objects.putSync(key, RECORD);
  inline.putSync(key, BODY);
}

async function run({ way, dir, ms }: Job): Promise<number> {
  if (way === "writer") {
    const engine = await openObjectEngine({ dir });
    const count = await during(ms, CALLERS, (key) => engine.put(ctx, putOf(key, BODY)));
    await engine.close();
    return count;
  }
  const tables = openTables(dir, { readOnly: false });
  const count = await (way === "compete"
    ? during(ms, CALLERS, (key) => tables.root.transactionSync(() => bareRows(tables, key)))
    : during(ms, CALLERS * PROCESSES, (key) => tables.root.transaction(() => bareRows(tables, key))));
  await tables.root.close();
  return count;
}

/** In a process of its own. */
function forked(job: Job): Promise<number> {
  const worker = cluster.fork();
  return new Promise((resolve, reject) => {
    worker.on("message", (said: "ready" | number) => {
      if (said === "ready") worker.send(job);
      else resolve(said);
    });
    worker.on("exit", (code) => reject(new Error(`a measuring process ended with ${code}`)));
  });
}

async function measure(way: Way, parent: string, ms: number): Promise<number> {
  const dir = mkdtempSync(join(parent, "who-writes-"));
  try {
    const writer = way === "writer" ? await startObjectWriter({ dir }) : undefined;
    if (writer) {
      const engine = await openObjectEngine({ dir });
      await engine.createBucket(ctx, newBucket);
      await engine.close();
    } else await openTables(dir, { readOnly: false }).root.close();
    const processes = way === "asynchronous" ? 1 : PROCESSES;
    const counts = await Promise.all(Array.from({ length: processes }, () => forked({ way, dir, ms })));
    await writer?.close();
    return counts.reduce((sum, count) => sum + count, 0) / (ms / 1000);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

if (cluster.isPrimary) {
  const [parent = ".", seconds = "5"] = process.argv.slice(2);
  console.log(`4 KiB puts/s into ${BUCKET}, each on disk when it is answered`);
  for (const way of ["writer", "compete", "asynchronous"] as const)
    console.log(`${way.padEnd(13)} ${Math.round(await measure(way, parent, Number(seconds) * 1000))}`);
} else {
  process.once("message", (job: Job) => {
    void run(job).then((count) => process.send?.(count, () => process.exit(0)));
  });
  process.send?.("ready");
}
