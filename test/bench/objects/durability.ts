import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Report, Row } from "../report.js";
import type { ObjectOperation } from "./contenders.js";
import { measureLoad } from "./measured-load.js";
import type { ObjectServer } from "./object-server.js";
import { type ObjectRun, withServers } from "./run.js";

/** What a server asked of the disk. */
export interface Syncs {
  /** Of one file: fsync, fdatasync, and msync with MS_SYNC. */
  file: number;
  /** Of a file system or of all of them. */
  whole: number;
  /** Files opened so that each write waits for the disk. */
  syncedOpens: number;
  /** The names that make a file visible or take it away. */
  names: number;
}

const TRACED =
  "fsync,fdatasync,sync,syncfs,sync_file_range,msync,open,openat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir";

/**
 * Counts the calls in strace's lines that succeeded. A call that another thread interrupted has its result on a line of
 * its own, `<... fsync resumed>`: that one counts.
 */
export function countSyncs(trace: string): Syncs {
  const syncs: Syncs = { file: 0, whole: 0, syncedOpens: 0, names: 0 };
  for (const line of trace.split("\n")) {
    const [, name, rest = ""] = /^\d+ +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$/.exec(line) ?? [];
    // An interrupted call's arguments stand on the first line, its result on the second.
    if (name?.startsWith("open")) {
      if (/\bO_D?SYNC\b/.test(rest)) syncs.syncedOpens++;
      continue;
    }
    if (name === undefined || !/= 0$/.test(rest.trimEnd())) continue;
    if (name === "fsync" || name === "fdatasync") syncs.file++;
    else if (name === "msync") syncs.file += /MS_SYNC|resumed/.test(line) ? 1 : 0;
    else if (name === "sync" || name === "syncfs") syncs.whole++;
    else if (name !== "sync_file_range") syncs.names++;
  }
  return syncs;
}

const WORKS: readonly { operation: ObjectOperation; clients: number }[] = [
  { operation: "PUT", clients: 1 },
  { operation: "DELETE", clients: 1 },
  { operation: "PUT", clients: 32 },
  { operation: "DELETE", clients: 32 },
];

/** What each server asks of the disk in 4 KiB PUTs and DELETEs, seen from outside: by strace. */
export async function benchDurability(run: ObjectRun): Promise<Report> {
  const title = "System calls for an operation, 4 KiB objects";
  const columns = ["fsync, fdatasync, msync", "sync, syncfs", "opened with O_SYNC, O_DSYNC", "names made and removed"];
  if (spawnSync("strace", ["-V"]).status !== 0) {
    const notes = ["Not measured: strace is not installed."];
    return { benchmark: "durability", measurements: {}, sections: [{ title, columns, rows: [], notes }] };
  }
  const measurements: Record<string, readonly number[]> = {};
  const rows: Row[] = [];
  for (const contender of run.contenders) {
    run.progress(`system calls of ${contender.title}`);
    await withServers(
      run,
      [contender],
      async ([server]) => {
        if (server === undefined) return;
        for (const work of WORKS) {
          const counts = await countOf(run, server, work);
          const name = `${work.operation}, ${work.clients} client${work.clients === 1 ? "" : "s"}: ${contender.title}`;
          rows.push({ name, cells: counts });
          measurements[`syncs a ${work.operation}, ${work.clients} clients, ${contender.name}`] = counts;
        }
      },
      (dir) => ["strace", "-f", "-qq", "-s", "0", "-e", `trace=${TRACED}`, "-o", traceFile(dir)],
    );
  }
  const order = (row: Row) =>
    WORKS.findIndex(({ operation, clients }) => row.name.startsWith(`${operation}, ${clients} c`));
  return {
    benchmark: "durability",
    measurements,
    sections: [
      {
        title,
        columns,
        rows: rows.sort((a, b) => order(a) - order(b)),
        notes: [
          "Counted by strace -f, which slows the servers. A sync that many clients' operations share counts less than once " +
            "for each; one that io_uring does is not seen.",
        ],
      },
    ],
  };
}

const traceFile = (dir: string) => join(dir, "strace.out");

async function countOf(
  run: ObjectRun,
  server: ObjectServer,
  { operation, clients }: { operation: ObjectOperation; clients: number },
): Promise<number[]> {
  const keys = run.quick ? 32 : 320;
  const file = traceFile(join(server.dataDir, ".."));
  const before = countSyncs(readFileSync(file, "utf8"));
  const { operations } = await measureLoad(run, server, {
    operation,
    clients,
    keys,
    sizeBytes: 4096,
    maxSeconds: 120,
    layout: "spread",
    firstKey: 0,
    compareOneOf: 1,
  });
  // Calls after the last answer belong to the operations too.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const after = countSyncs(readFileSync(file, "utf8"));
  const each = (value: (syncs: Syncs) => number) => (value(after) - value(before)) / Math.max(1, operations);
  return [each((s) => s.file), each((s) => s.whole), each((s) => s.syncedOpens), each((s) => s.names)];
}
