import { percentile } from "../statistics.js";
import { Connection } from "./connection.js";
import type { LoadJob, LoadResult } from "./load-job.js";

const MAX_TEXTS = 5;
/** A server that answers nothing but errors is not measured to the end. */
const MAX_FAILURES = 1000;

/** What the clients of one job write down together. */
export class Collected {
  bytes = 0;
  compared = 0;
  failures = 0;
  readonly texts: string[] = [];
  readonly latenciesMs: number[] = [];
  /** No request starts after this, by performance.now(). */
  endMs: number;

  constructor(maxSeconds: number) {
    this.endMs = performance.now() + maxSeconds * 1000;
  }

  /** Waits for a request and writes down how long it took; answers how it failed, if it did. */
  async timed(request: () => Promise<void>): Promise<string | undefined> {
    const startMs = performance.now();
    try {
      await request();
      this.latenciesMs.push(performance.now() - startMs);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  fail(text: string): void {
    if (this.texts.length < MAX_TEXTS) this.texts.push(text);
    if (++this.failures >= MAX_FAILURES) this.endMs = 0;
  }
}

/** Runs a client's loop on each connection, and sums up. */
export async function collect(
  job: LoadJob,
  readBytes: number,
  client: (connection: Connection, results: Collected) => Promise<void>,
): Promise<Omit<LoadResult, "nextKey">> {
  const connections = Array.from({ length: job.clients }, () => new Connection(job.host, job.port, readBytes));
  const results = new Collected(job.maxSeconds);
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await Promise.all(connections.map((connection) => client(connection, results)));
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  for (const connection of connections) connection.close();
  const times = results.latenciesMs;
  const at = (percent: number) => (times.length === 0 ? 0 : percentile(times, percent));
  return {
    operations: times.length,
    bytes: results.bytes,
    seconds,
    waitedSeconds: times.reduce((sum, ms) => sum + ms, 0) / 1000 / job.clients,
    p50Ms: at(50),
    p99Ms: at(99),
    maxMs: at(100),
    clientCpuSeconds: (cpu.user + cpu.system) / 1e6,
    reconnects: connections.reduce((sum, { opened }) => sum + Math.max(0, opened - 1), 0),
    compared: results.compared,
    failures: results.failures,
    failureTexts: results.texts,
  };
}
