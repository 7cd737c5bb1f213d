import type { Report, Row } from "../report.js";
import { runTool } from "../run-tool.js";
import { measureLoad } from "./measured-load.js";
import type { ObjectServer } from "./object-server.js";
import { type ObjectRun, withServers } from "./run.js";

const MIB = 1024 ** 2;

/** Bytes on disk for a stored byte. */
export async function benchSpace(run: ObjectRun): Promise<Report> {
  const contenders = run.contenders.filter(({ name }) => name !== "minio-sync");
  const works = [
    { name: "4 KiB", sizeBytes: 4096, keys: run.quick ? 1000 : 20_000, clients: 32 },
    { name: "64 MiB", sizeBytes: 64 * MIB, keys: run.quick ? 2 : 8, clients: 4 },
  ];
  const measurements: Record<string, readonly number[]> = {};
  const rows: Row[] = [];
  for (const { name, ...work } of works) {
    run.progress(`bytes on disk: ${name}`);
    // Fresh ones for each size: what one leaves free, another could use.
    await withServers(run, contenders, async (servers) => {
      for (const server of servers) {
        const before = await bytesOnDisk(run, server);
        const job = {
          ...work,
          operation: "PUT",
          layout: "spread",
          maxSeconds: 600,
          firstKey: 0,
          compareOneOf: 1,
        } as const;
        const { bytes } = await measureLoad(run, server, job);
        const used = (await bytesOnDisk(run, server)) - before;
        rows.push({
          name: `${name}: ${server.contender.title}`,
          cells: [work.keys, bytes / MIB, used / MIB, (used / Math.max(1, bytes)).toFixed(3)],
        });
        measurements[`bytes on disk a byte, ${name}, ${server.contender.name}`] = [used / Math.max(1, bytes)];
      }
    });
  }
  return {
    benchmark: "space",
    measurements,
    sections: [
      {
        title: "Bytes on disk",
        columns: ["objects", "stored MiB", "on disk MiB", "on disk for a stored byte"],
        rows,
        notes: ["What du counts in the data dir, less what it counted of the empty server."],
      },
    ],
  };
}

async function bytesOnDisk(run: ObjectRun, { dataDir }: ObjectServer): Promise<number> {
  await runTool(run.signal, "sync");
  return Number.parseInt(await runTool(run.signal, "du", "--summarize", "--block-size=1", dataDir), 10);
}
