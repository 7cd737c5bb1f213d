import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CsiClient } from "../../src/runtime/csi-client.js";

// Compiled for the benchmarks, this file lies in dist/ itself.
const MAIN = ["../../src/main.js", "../../dist/src/main.js"]
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((path, i) => i === 1 || existsSync(path)) as string;
// A machine with others at work on it: this only ends what hangs.
const READY_MS = 90_000;

/** A folder of its own under the system's temporary folder, with everything that a test mounts or attaches in it. */
export interface Sandbox {
  dir: string;
  dataDir: string;
  /** Where a reflink pool was mounted, or the plain folder that the server makes. */
  poolDir: string;
}

function run(program: string, ...args: string[]): string {
  const result = spawnSync(program, args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

/** `pool`: an XFS file with reflinks of so many bytes, mounted as the pool; 0 for a plain folder without reflinks. */
export function makeSandbox(poolBytes = 4 * 1024 ** 3): Sandbox {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "granary-test-")));
  const sandbox = { dir, dataDir: join(dir, "data"), poolDir: join(dir, "data", "pool") };
  mkdirSync(sandbox.poolDir, { recursive: true });
  if (poolBytes > 0) {
    const image = join(dir, "pool.img");
    run("truncate", "-s", String(poolBytes), image);
    run("mkfs.xfs", "-q", "-m", "reflink=1", image);
    run("mount", "-o", "loop,noatime", image, sandbox.poolDir);
  }
  return sandbox;
}

export function mountsUnder(dir: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${dir}/`));
}

/** Loop devices whose file lies under `dir`. */
export function loopsUnder(dir: string): string[] {
  return run("losetup", "-l", "-n", "-O", "NAME,BACK-FILE")
    .split("\n")
    .filter((line) => line.includes(`${dir}/`))
    .map((line) => line.split(/\s+/)[0] ?? "");
}

/** Processes whose command line names the sandbox: servers of exports and mounts, which are to outlive granary. */
function processesOf(dir: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${dir}/`);
      } catch {
        // It ended while this looked.
        return false;
      }
    });
}

/** Takes away every mount, loop device, process and file of the sandbox, whatever state a failed test left. */
export function removeSandbox(sandbox: Sandbox): void {
  for (let round = 0; round < 5 && mountsUnder(sandbox.dir).length > 0; round++) {
    for (const path of mountsUnder(sandbox.dir).reverse()) {
      spawnSync("fsfreeze", ["--unfreeze", path]);
      spawnSync("umount", [path]);
    }
    for (const device of loopsUnder(sandbox.dir)) spawnSync("losetup", ["-d", device]);
  }
  for (const device of loopsUnder(sandbox.dir)) spawnSync("losetup", ["-d", device]);
  for (const pid of processesOf(sandbox.dir)) spawnSync("kill", ["-KILL", String(pid)]);
  if (mountsUnder(sandbox.dir).length === 0) rmSync(sandbox.dir, { recursive: true, force: true });
}

export interface TestServer {
  client: CsiClient;
  endpoint: string;
  pid: number;
  /** What it wrote to stderr so far. */
  log(): string;
  /** SIGTERM, then its exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Settles when the process has ended, by itself or by a signal, with its exit code or null. */
  ended: Promise<number | null>;
}

export interface StartOptions {
  role?: "up" | "controller" | "node";
  flags?: readonly string[];
  env?: Record<string, string>;
}

/** A real `granary up`, without its S3 gateway, on the sandbox's data dir; settled once it says that it is ready. */
export async function startServer(sandbox: Sandbox, options: StartOptions = {}): Promise<TestServer> {
  const { role = "up", flags = [], env = {} } = options;
  const socket = join(sandbox.dir, `${role}.sock`);
  const endpoint = `unix://${socket}`;
  const logFile = join(sandbox.dir, `${role}-${Date.now()}.log`);
  const output = openSync(logFile, "w");
  const child: ChildProcess = spawn(
    process.execPath,
    [MAIN, role, "--data-dir", sandbox.dataDir, "--csi-endpoint", endpoint, "--node-id", "host-1", ...flags],
    { stdio: ["ignore", output, output], env: { ...process.env, GRANARY_S3_ENABLED: "false", ...env } },
  );
  closeSync(output);
  const log = () => readFileSync(logFile, "utf8");
  let over = false;
  const ended = new Promise<number | null>((resolve) =>
    child.on("exit", (code) => {
      over = true;
      resolve(code);
    }),
  );
  const endMs = Date.now() + READY_MS;
  while (!(existsSync(socket) && /ready on/.test(log()))) {
    if (over) throw new Error(`granary ${role} ended before it was ready:\n${log()}`);
    if (Date.now() > endMs) {
      child.kill("SIGKILL");
      throw new Error(`granary ${role} was not ready in time:\n${log()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const client = new CsiClient(endpoint);
  const end = (signal: "SIGTERM" | "SIGKILL") => {
    client.close();
    if (!over) child.kill(signal);
    return ended;
  };
  return {
    client,
    endpoint,
    pid: child.pid ?? 0,
    log,
    ended,
    stop: () => end("SIGTERM"),
    kill: async () => void (await end("SIGKILL")),
  };
}

/** `granary ARGS`: exit code and output. */
export function granary(args: readonly string[], input = "", env: Record<string, string> = {}) {
  const result = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
    input,
    env: { ...process.env, ...env },
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** Lets a rejected CSI call be compared by its gRPC code and its message. */
export async function failureOf(call: Promise<unknown>): Promise<{ code: string; details: string }> {
  try {
    await call;
  } catch (error) {
    const { code, details } = error as { code: string; details: string };
    return { code, details };
  }
  return { code: "OK", details: "" };
}
