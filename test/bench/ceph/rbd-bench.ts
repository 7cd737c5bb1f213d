import type { Place } from "../../ceph/place.js";
import type { Throughput, Workload } from "../fio.js";
import { runTool } from "../run-tool.js";

/** librbd itself, with neither a device nor a kernel between: `rbd bench` of one workload on an image. */
export async function rbdBench(
  signal: AbortSignal,
  place: Place,
  image: string,
  workload: Workload,
  totalBytes: number,
): Promise<Throughput> {
  const { rw, blockBytes, depth } = workload;
  const random = rw.startsWith("rand");
  const text = await runTool(
    signal,
    "rbd",
    ...["--conf", place.env.conf, "bench", `${place.spec}/${image}`],
    ...["--io-type", rw.endsWith("read") ? "read" : "write", "--io-pattern", random ? "rand" : "seq"],
    ...["--io-size", String(blockBytes), "--io-threads", String(depth), "--io-total", String(totalBytes)],
  );
  return parseRbdBench(text, blockBytes);
}

/** The last line: `elapsed: 1   ops: 1024   ops/sec: 900.5   bytes/sec: 3.5 MiB/s`. @throws Error when it is not there */
export function parseRbdBench(text: string, blockBytes: number): Throughput {
  const operationsPerSecond = Number(/^elapsed: .*\bops\/sec: *([0-9.]+)/m.exec(text)?.[1]);
  if (!(operationsPerSecond > 0)) throw new Error(`rbd bench measured nothing: ${text.slice(-300)}`);
  return { operationsPerSecond, mebibytesPerSecond: (operationsPerSecond * blockBytes) / 1024 ** 2 };
}
