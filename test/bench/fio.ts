import { runTool } from "./run-tool.js";

/** One way of reading or writing, as fio takes it. */
export interface Workload {
  name: string;
  rw: "randread" | "randwrite" | "read" | "write";
  blockBytes: number;
  depth: number;
}

export const WORKLOADS: readonly Workload[] = [
  { name: "4 KiB random read, depth 16", rw: "randread", blockBytes: 4096, depth: 16 },
  { name: "4 KiB random write, depth 16", rw: "randwrite", blockBytes: 4096, depth: 16 },
  { name: "1 MiB sequential read, depth 4", rw: "read", blockBytes: 1024 ** 2, depth: 4 },
  { name: "1 MiB sequential write, depth 4", rw: "write", blockBytes: 1024 ** 2, depth: 4 },
];

export interface Throughput {
  operationsPerSecond: number;
  mebibytesPerSecond: number;
}

interface FioSide {
  io_bytes: number;
  iops: number;
  bw_bytes: number;
}

/** fio's JSON of one job. @throws Error when it did nothing: no throughput is no measurement */
export function parseFio(json: string, direction: "read" | "write"): Throughput {
  // Warnings may come before the JSON.
  const from = json.indexOf("{");
  const parsed = JSON.parse(json.slice(Math.max(from, 0))) as { jobs: ({ error: number } & Record<string, FioSide>)[] };
  const job = parsed.jobs[0];
  const side = job?.[direction];
  if (job?.error !== 0 || !side || side.io_bytes === 0) throw new Error(`fio measured no ${direction}`);
  return { operationsPerSecond: side.iops, mebibytesPerSecond: side.bw_bytes / 1024 ** 2 };
}

const COMMON = ["--name=bench", "--ioengine=libaio", "--direct=1", "--output-format=json", "--group_reporting"];

/** Writes every byte of a file or device once, so that no later write waits for an allocation. */
export async function fill(signal: AbortSignal, path: string, sizeBytes: number): Promise<void> {
  await runTool(
    signal,
    "fio",
    ...COMMON,
    ...[`--filename=${path}`, `--size=${sizeBytes}`, "--rw=write", "--bs=1M", "--iodepth=4", "--end_fsync=1"],
  );
}

/** Measures one workload on a file or device for so many seconds, past the page cache. */
export async function measure(
  signal: AbortSignal,
  path: string,
  sizeBytes: number,
  workload: Workload,
  seconds: number,
): Promise<Throughput> {
  const { rw, blockBytes, depth } = workload;
  const json = await runTool(
    signal,
    "fio",
    ...COMMON,
    ...[`--filename=${path}`, `--size=${sizeBytes}`, `--rw=${rw}`, `--bs=${blockBytes}`, `--iodepth=${depth}`],
    // The same places in the same order for each candidate; a short start that is not counted fills the queue.
    ...["--randseed=20", "--norandommap", "--time_based", `--runtime=${seconds}`, "--ramp_time=300ms"],
  );
  return parseFio(json, rw === "read" || rw === "randread" ? "read" : "write");
}
