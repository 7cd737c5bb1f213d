import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import { block, bytes } from "../root/csi-requests.js";
import { fill, measure, WORKLOADS, type Workload } from "./fio.js";
import type { Report, Row } from "./report.js";
import { runTool } from "./run-tool.js";
import { compare, median, rotated } from "./statistics.js";
import { type Run, type World, withWorld } from "./world.js";

const MIB = 1024 ** 2;
const MIN_RATIO = 0.98;

/** What is read and written: a provisioned volume's published device, a loop device made by hand, the bare file. */
const CANDIDATES = ["volume", "byHand", "file"] as const;
type Candidate = (typeof CANDIDATES)[number];
type Paths = Readonly<Record<Candidate, string>>;
type Measured = Record<Candidate, number[]>;

/** The data path: nothing of the driver may stand between a workload and the disk. */
export async function benchDataPath(run: Run): Promise<Report> {
  const sizeBytes = run.quick ? 64 * MIB : 1024 * MIB;
  const [rounds, seconds] = run.quick ? [1, 1] : [15, 2];
  return withWorld(3 * sizeBytes + 1024 * MIB, async (world) => {
    const paths = await prepare(run, world, sizeBytes);
    try {
      const measured = new Map<Workload, Measured>();
      for (const workload of WORKLOADS) {
        const series: Measured = { volume: [], byHand: [], file: [] };
        measured.set(workload, series);
        for (let round = 0; round < rounds; round++) {
          run.progress(`data-path: ${workload.name}, round ${round + 1} of ${rounds}`);
          for (const candidate of rotated(CANDIDATES, round)) {
            const found = await measure(run.signal, paths[candidate], sizeBytes, workload, seconds);
            series[candidate].push(isRandom(workload) ? found.operationsPerSecond : found.mebibytesPerSecond);
          }
        }
      }
      return reportOf(measured, `${rounds} rounds of ${seconds} s, ${sizeBytes / MIB} MiB each`);
    } finally {
      await runTool(new AbortController().signal, "losetup", "--detach", paths.byHand);
    }
  });
}

const isRandom = (workload: Workload) => workload.rw.startsWith("rand");

async function prepare(run: Run, world: World, sizeBytes: number): Promise<Paths> {
  const { calls, sandbox } = world;
  const volume = await calls.create("data-path", {
    capacity_range: bytes(sizeBytes),
    volume_capabilities: [block()],
  });
  await calls.attach(volume, block());
  await calls.publish(volume, {}, "a", block());
  const [byHandFile, file] = [join(sandbox.poolDir, "by-hand.img"), join(sandbox.poolDir, "bare.img")];
  for (const path of [byHandFile, file]) makeSparse(path, sizeBytes);
  const byHand = await runTool(
    run.signal,
    "losetup",
    ...["--find", "--show", "--direct-io=on", "--sector-size", "4096", byHandFile],
  );
  const paths = { volume: calls.target(volume.volume_id), byHand: byHand.trim(), file };
  for (const candidate of CANDIDATES) {
    run.progress(`data-path: writing ${sizeBytes / MIB} MiB to ${candidate}`);
    await fill(run.signal, paths[candidate], sizeBytes);
  }
  return paths;
}

function makeSparse(path: string, sizeBytes: number): void {
  const file = openSync(path, "wx", 0o600);
  try {
    ftruncateSync(file, sizeBytes);
  } finally {
    closeSync(file);
  }
}

function reportOf(measured: ReadonlyMap<Workload, Measured>, how: string): Report {
  const rows: Row[] = [];
  const measurements: Record<string, number[]> = {};
  for (const [workload, { volume, byHand, file }] of measured) {
    const unit = isRandom(workload) ? "IOPS" : "MiB/s";
    const { ratio, pairwise, spread } = compare(volume, byHand);
    const spreadText = spread.map((edge) => edge.toFixed(3)).join(" to ");
    rows.push({
      name: workload.name,
      cells: [
        unit,
        ...[volume, byHand, file].map(median),
        ...[pairwise.toFixed(3), spreadText, compare(volume, file).ratio.toFixed(3)],
      ],
      target: { value: ratio, atLeast: MIN_RATIO },
    });
    for (const [candidate, values] of Object.entries({ volume, byHand, file }))
      measurements[`${workload.name}, ${candidate}, ${unit}`] = values;
  }
  return {
    benchmark: "data-path",
    measurements,
    sections: [
      {
        title: `Data path: a published raw block volume, a loop device made by hand, the bare file (${how})`,
        columns: ["unit", "volume", "by hand", "file", "ratio a round", "its quartiles", "against the file"],
        rows,
        notes: [
          "Same pool, all written once before; fio with libaio, direct I/O; medians of interleaved rounds.",
          "The target is the ratio of the medians, volume to the device by hand; its value stands beside the result.",
        ],
      },
    ],
  };
}
