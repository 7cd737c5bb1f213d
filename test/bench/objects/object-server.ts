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

/** Good for every one of the servers: MinIO takes 40 characters of secret at most. */
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

export interface ServerOptions {
  /** Holds the server's data, in a folder `data`, and its log. */
  dir: string;
  tools: string;
  credentials: Credentials;
  signal: AbortSignal;
  /** A program, with its arguments, that runs the server: strace. */
  wrapper: readonly string[];
}

/** A contender on a folder of its own, which it finds again after a restart. */
export class ObjectServer {
  readonly host = "127.0.0.1";
  readonly contender: Contender;
  readonly credentials: Credentials;
  readonly dataDir: string;
  port = 0;
  /** From the start of the process to its first answer to a signed request. */
  startMs = 0;
  readonly #options: ServerOptions;
  readonly #logFile: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(contender: Contender, options: ServerOptions) {
    this.contender = contender;
    this.credentials = options.credentials;
    this.dataDir = join(options.dir, "data");
    this.#options = options;
    this.#logFile = join(options.dir, "server.log");
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`${this.contender.title} does not run`);
    return this.#child.pid;
  }

  /** Settled once it answers a signed request. @throws Error with the end of its log when it does not */
  async start(): Promise<void> {
    mkdirSync(this.dataDir, { recursive: true });
    this.port = await freePort();
    const { credentials, tools, wrapper } = this.#options;
    const { program, args, env } = this.contender.command({ dir: this.dataDir, port: this.port, tools, credentials });
    const [first = program, ...rest] = [...wrapper, program, ...args];
    const output = openSync(this.#logFile, "a");
    const startedMs = performance.now();
    const child = spawn(first, rest, { stdio: ["ignore", output, output], env: { ...process.env, ...env } });
    closeSync(output);
    this.#child = child;
    this.#ended = new Promise<void>((resolve) => {
      child.on("error", () => resolve());
      child.on("exit", () => resolve());
    });
    try {
      await this.#untilReady(child);
    } catch (error) {
      const log = readFileSync(this.#logFile, "utf8").slice(-2000);
      await this.stop();
      throw new Error(`${this.contender.title} did not start: ${(error as Error).message}\n${log}`);
    }
    this.startMs = performance.now() - startedMs;
  }

  /** SIGTERM, and SIGKILL to what is left of its tree when that is not enough; settled when all of it has ended. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const workers = processTree(child.pid).filter(({ pid }) => pid !== child.pid);
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await this.#ended;
    clearTimeout(late);
    for (const { pid } of workers) kill(pid);
    this.#child = undefined;
  }

  /** Ends it, and starts it on the same data. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The status of a signed request without a body. */
  async request(method: string, path: string): Promise<number> {
    const connection = new Connection(this.host, this.port, 64 * 1024);
    try {
      const headOf = requestHeads({ host: `${this.host}:${this.port}`, credentials: this.credentials });
      await connection.request(method, headOf(method, path), undefined);
      return connection.status;
    } finally {
      connection.close();
    }
  }

  async createBucket(bucket: string): Promise<void> {
    const status = await this.request("PUT", `/${bucket}`);
    if (status !== 200) throw new Error(`${this.contender.title}: creating a bucket: status ${status}`);
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const endMs = performance.now() + READY_MS;
    for (;;) {
      this.#options.signal.throwIfAborted();
      if (child.pid === undefined) throw new Error("the program could not be started");
      if (child.exitCode !== null || child.signalCode !== null) throw new Error("it ended at once");
      const status = await this.request("GET", "/").catch(() => 0);
      if (status === 200) return;
      if (performance.now() > endMs) throw new Error(`not ready in time; the last answer's status is ${status}`);
      await wait(5);
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
