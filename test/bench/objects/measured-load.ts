import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { runTool } from "../run-tool.js";
import type { ListJob, LoadJob, LoadResult, ObjectJob } from "./load-job.js";
import type { ObjectServer } from "./object-server.js";
import { treeCpuSeconds, treeMemory } from "./process-tree.js";
import { BUCKET, type ObjectRun } from "./run.js";

const LOAD = fileURLToPath(new URL("load.js", import.meta.url));
const SAMPLE_MS = 1000;

type Place = "host" | "port" | "credentials" | "bucket";
/** A job for any server: where it is comes with the server. */
export type Job = (Omit<ObjectJob, Place> | Omit<ListJob, Place>) & { bucket?: string };

export interface Measurement extends LoadResult {
  /** Of a listing's pages: a second that the clients waited. */
  opsPerSecond: number;
  mibPerSecond: number;
  /** Of the server's whole process tree. */
  serverCpuMs: number;
  clientCpuMs: number;
  /** The most that was seen, sampled each second. */
  pssMib: number;
  anonymousMib: number;
}

/**
 * Runs the load generator against a server, and measures the server meanwhile. What is written but not synced is
 * synced before, so that no server pays for another's.
 */
export async function measureLoad(run: ObjectRun, server: ObjectServer, job: Job): Promise<Measurement> {
  await runTool(run.signal, "sync");
  const { host, port, credentials, pid } = server;
  const memory = treeMemory(pid);
  const sampling = setInterval(() => {
    const now = treeMemory(pid);
    memory.pssMib = Math.max(memory.pssMib, now.pssMib);
    memory.anonymousMib = Math.max(memory.anonymousMib, now.anonymousMib);
  }, SAMPLE_MS);
  const cpuBefore = treeCpuSeconds(pid);
  const result = await load(run.signal, { bucket: BUCKET, ...job, host, port, credentials }).finally(() =>
    clearInterval(sampling),
  );
  const cpuSeconds = treeCpuSeconds(pid) - cpuBefore;
  if (result.failures > 0)
    run.problem(server.contender, `${job.operation}: ${result.failures} failed: ${result.failureTexts.join("; ")}`);
  const operations = Math.max(1, result.operations);
  // To read a page of a listing takes the client as long as it may take a server to make it.
  const seconds = job.operation === "LIST" ? result.waitedSeconds : result.seconds;
  return {
    ...result,
    ...memory,
    opsPerSecond: result.operations / seconds,
    mibPerSecond: result.bytes / seconds / 1024 ** 2,
    serverCpuMs: (cpuSeconds * 1000) / operations,
    clientCpuMs: (result.clientCpuSeconds * 1000) / operations,
  };
}

/** Runs a job in the load generator's own process. @throws Error when it fails, and the signal's reason when that fired */
export async function load(signal: AbortSignal, job: LoadJob): Promise<LoadResult> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, [LOAD], { stdio: ["pipe", "pipe", "inherit"] });
  const end = () => child.kill("SIGTERM");
  signal.addEventListener("abort", end, { once: true });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  child.stdin.end(JSON.stringify(job));
  const [answer, code] = await Promise.all([text(child.stdout), ended]);
  signal.removeEventListener("abort", end);
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`the load generator ended with ${code} in ${job.operation}`);
  return JSON.parse(answer) as LoadResult;
}
