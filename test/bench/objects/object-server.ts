import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Connection } from "./connection.js";
import type { Contender } from "./contenders.js";
import { processTree } from "./process-tree.js";
import { type Credentials, requestHeads } from "./sigv4.js";

const READY_MS = 120_000;
const STOP_MS = 30_000;
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A contender that runs, on a folder of its own. */
export interface ObjectServer {
  contender: Contender;
  host: string;
  port: number;
  credentials: Credentials;
  dataDir: string;
  pid: number;
  /** From the start of the process to its first answer to a signed request. */
  startMs: number;
  createBucket(bucket: string): Promise<void>;
  /** SIGTERM, and SIGKILL to the whole tree when that is not enough; settled when all of it has ended. */
  stop(): Promise<void>;
}

/** The smallest secret that all of them take. */
export const newCredentials = (): Credentials => ({
  accessKey: `bench${randomBytes(6).toString("hex")}`,
  secretKey: randomBytes(20).toString("hex"),
  region: "us-east-1",
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}

export interface StartOptions {
  /** Holds the server's data, in a folder `data`, and its logs. */
  dir: string;
  tools: string;
  credentials: Credentials;
  signal: AbortSignal;
  /** A program, with its arguments, that runs the server: strace. */
  wrapper?: readonly string[];
}

/** Starts a contender; settled once it answers a signed request. @throws Error with its log when it does not */
export async function startObjectServer(contender: Contender, options: StartOptions): Promise<ObjectServer> {
  const { dir, credentials, tools, signal, wrapper = [] } = options;
  signal.throwIfAborted();
  const dataDir = join(dir, "data");
  mkdirSync(dataDir, { recursive: true });
  const port = await freePort();
  const { program, args, env } = contender.command({ dir: dataDir, port, tools, credentials });
  const [first = program, ...rest] = [...wrapper, program, ...args];
  const logFile = join(dir, `${contender.name}.log`);
  const output = openSync(logFile, "a");
  const startedMs = performance.now();
  const child = spawn(first, rest, { stdio: ["ignore", output, output], env: { ...process.env, ...env } });
  closeSync(output);
  const ended = new Promise<void>((resolve) => {
    child.on("error", () => resolve());
    child.on("exit", () => resolve());
  });
  const server: ObjectServer = {
    contender,
    host: "127.0.0.1",
    port,
    credentials,
    dataDir,
    pid: child.pid ?? 0,
    startMs: 0,
    createBucket: async (bucket) => {
      const answer = await signedRequest(server, "PUT", `/${bucket}`);
      if (answer !== 200) throw new Error(`${contender.title}: creating a bucket: status ${answer}`);
    },
    stop: () => stop(child, ended),
  };
  try {
    await untilReady(server, child, signal);
  } catch (error) {
    await server.stop();
    throw new Error(
      `${contender.title} did not start: ${String(error)}\n${readFileSync(logFile, "utf8").slice(-4000)}`,
    );
  }
  server.startMs = performance.now() - startedMs;
  return server;
}

/** The status of a request without a body. */
export async function signedRequest(
  { host, port, credentials }: Pick<ObjectServer, "host" | "port" | "credentials">,
  method: string,
  path: string,
): Promise<number> {
  const connection = new Connection(host, port, 64 * 1024);
  try {
    await connection.request(method, requestHeads({ host: `${host}:${port}`, credentials })(method, path), undefined);
    return connection.status;
  } finally {
    connection.close();
  }
}

async function untilReady(server: ObjectServer, child: ChildProcess, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + READY_MS;
  for (;;) {
    signal.throwIfAborted();
    if (child.pid === undefined) throw new Error("the program could not be started");
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("it ended at once");
    const status = await signedRequest(server, "GET", "/").catch(() => 0);
    if (status === 200) return;
    if (performance.now() > endMs) throw new Error(`not ready in time; the last answer's status is ${status}`);
    await wait(5);
  }
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.pid === undefined) return;
  const tree = processTree(child.pid).map(({ pid }) => pid);
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
  const late = setTimeout(() => {
    for (const pid of tree) kill(pid);
  }, STOP_MS);
  await ended;
  clearTimeout(late);
  // Workers that outlived it.
  for (const pid of tree.filter((candidate) => candidate !== child.pid)) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
