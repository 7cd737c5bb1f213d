import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Calls, callsOf } from "../root/csi-requests.js";
import {
  granary,
  makeSandbox,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "../root/server-harness.js";

/** What a benchmark is run with. */
export interface Run {
  /** Small sizes and few rounds: shows that everything works, and measures little. */
  quick: boolean;
  /** Fires when the user stops the run. */
  signal: AbortSignal;
  /** One line for a person who waits. */
  progress(text: string): void;
}

/** A real server on a pool of its own. */
export interface World {
  sandbox: Sandbox;
  calls: Calls;
  server: TestServer;
  /** SIGTERM to the server, and a new one on the same data dir. */
  restart(): Promise<void>;
  /** Seconds that the server itself counted for a method so far, by its metrics; `code` OK alone. */
  serverSeconds(method: string): Promise<number>;
}

/**
 * Runs `work` on a fresh XFS pool file with reflinks, as `granary pool init --file` makes it and `granary up` mounts
 * it. Everything is taken away in the end, whatever `work` did; if something stays, the process's exit code is 1.
 */
export async function withWorld<T>(poolBytes: number, work: (world: World) => Promise<T>): Promise<T> {
  const sandbox = makeSandbox(0);
  let server: TestServer | undefined;
  try {
    const file = join(sandbox.dir, "pool.img");
    const made = granary(["pool", "init", "--data-dir", sandbox.dataDir, "--file", file, "--size", String(poolBytes)]);
    if (made.code !== 0) throw new Error(`granary pool init: ${made.stderr}`);
    const start = () =>
      // Benchmarks promise more than they write; a port of its own stays clear of a server that runs here.
      startServer(sandbox, { flags: ["--overcommit", "1000", "--metrics-address", "127.0.0.1:0"] });
    server = await start();
    const world: World = {
      sandbox,
      server,
      calls: callsOf(server.client, sandbox),
      async restart() {
        await world.server.stop();
        server = await start();
        world.server = server;
        world.calls = callsOf(server.client, sandbox);
      },
      serverSeconds: (method) => serverSeconds(world.server, method),
    };
    return await work(world);
  } finally {
    await server?.stop();
    removeSandbox(sandbox);
    if (existsSync(sandbox.dir)) {
      // Thrown, it would hide what `work` threw.
      process.stderr.write(`bench: ${sandbox.dir} could not be taken away whole\n`);
      process.exitCode = 1;
    }
  }
}

async function serverSeconds(server: TestServer, method: string): Promise<number> {
  const address = /metrics on (http:\/\/127\.0\.0\.1:\d+)\/metrics/.exec(server.log())?.[1];
  if (!address) throw new Error("the server's log names no address of its metrics");
  const text = await (await fetch(`${address}/metrics`)).text();
  const sample = `granary_rpc_duration_seconds_sum{method="${method}",code="OK"} `;
  const line = text.split("\n").find((candidate) => candidate.startsWith(sample));
  return line === undefined ? 0 : Number(line.slice(sample.length));
}

/** Milliseconds that `work` took, and what it answered. */
export async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; answer: T }> {
  const startMs = performance.now();
  const answer = await work();
  return { ms: performance.now() - startMs, answer };
}
