import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Report, Row } from "../report.js";
import { runTool } from "../run-tool.js";
import type { ObjectServer } from "./object-server.js";
import { type ObjectRun, withServers } from "./run.js";

export interface WarpFigures {
  mibPerSecond: number;
  objectsPerSecond: number;
}

/**
 * The average that warp prints for an operation. A GET's run tells of the PUTs before it too, so the operation is looked
 * for; older versions head it `Operation: GET`, newer ones `Report: GET`.
 *
 * @throws Error when there is none
 */
export function parseWarp(output: string, operation: "PUT" | "GET"): WarpFigures {
  const from = output.search(new RegExp(`^(?:Operation|Report): ${operation}\\b`, "m"));
  const average = /^ ?\* Average: ([\d.]+) MiB\/s, ([\d.]+) obj\/s/m.exec(from < 0 ? "" : output.slice(from));
  if (average === null) throw new Error(`warp told no average of ${operation}:\n${output.slice(-2000)}`);
  return { mibPerSecond: Number(average[1]), objectsPerSecond: Number(average[2]) };
}

const WORKS = [
  { name: "4 KiB, 32 clients", size: "4KiB", clients: 32, objects: 5000 },
  { name: "64 MiB, 4 clients", size: "64MiB", clients: 4, objects: 16 },
] as const;

/** The rows of 4 KiB and 64 MiB again, by a load generator that others wrote. */
export async function benchWarp(run: ObjectRun): Promise<Report> {
  const title = "Cross-check: warp";
  const columns = ["objects/s", "MiB/s"];
  const { warp } = run;
  if ("absent" in warp) {
    const notes = [`Not measured: ${warp.absent}.`];
    return { benchmark: "warp", measurements: {}, sections: [{ title, columns, rows: [], notes }] };
  }
  const measurements: Record<string, readonly number[]> = {};
  const rows: Row[] = [];
  await withServers(run, run.contenders, async (servers) => {
    for (const work of WORKS) {
      for (const operation of ["PUT", "GET"] as const) {
        for (const server of servers) {
          run.progress(`warp: ${operation} of ${work.name}, ${server.contender.title}`);
          try {
            const figures = parseWarp(await warpOutput(run, warp.program, server, operation, work), operation);
            const name = `${operation} ${work.name}: ${server.contender.title}`;
            rows.push({ name, cells: [figures.objectsPerSecond, figures.mibPerSecond] });
            measurements[`warp ${name}, objects/s`] = [figures.objectsPerSecond];
          } catch (error) {
            run.signal.throwIfAborted();
            run.problem(server.contender, String(error));
          }
        }
      }
    }
  });
  const notes = ["One run of each, with warp's own keys and bodies; it empties its bucket before and after."];
  return { benchmark: "warp", measurements, sections: [{ title, columns, rows, notes }] };
}

function warpOutput(
  run: ObjectRun,
  program: string,
  server: ObjectServer,
  operation: "PUT" | "GET",
  work: (typeof WORKS)[number],
): Promise<string> {
  const dir = join(run.dir, "warp");
  mkdirSync(dir, { recursive: true });
  return runTool(
    run.signal,
    program,
    operation.toLowerCase(),
    "--no-color",
    `--host=${server.host}:${server.port}`,
    `--access-key=${server.credentials.accessKey}`,
    `--secret-key=${server.credentials.secretKey}`,
    "--bucket=warp",
    `--obj.size=${work.size}`,
    `--concurrent=${work.clients}`,
    `--duration=${run.quick ? 2 : 10}s`,
    `--benchdata=${join(dir, `${operation}-${work.size}-${server.contender.name}`)}`,
    ...(operation === "GET" ? [`--objects=${work.objects}`] : []),
  );
}
