import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { findObjectStore, serverFiles } from "../../src/runtime/server-file.js";
import { testUpstream } from "./upstream-engine.js";

// Compiled for the benchmarks, this file lies in dist/ itself.
const MAIN = ["../../src/main.js", "../../dist/src/main.js"]
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((path, i) => i === 1 || existsSync(path)) as string;
// On a machine that has other work: deadlines only end what hangs.
const READY_MS = 120_000;
const STOP_MS = 40_000;
const POLL_MS = 20;

export interface S3ServerOptions {
  /** Serves HTTPS with a certificate of its own for localhost and 127.0.0.1. */
  https?: boolean;
  /** Further arguments of `granary objectstore`. */
  flags?: readonly string[];
  env?: Record<string, string>;
  /** A folder that an earlier server left, to start on again; it is not removed by `remove`. */
  dataDir?: string;
}

/** A real `granary objectstore`, in a process of its own. */
export interface S3Server {
  readonly dataDir: string;
  /** A folder for what a test makes; goes with `remove`. */
  readonly dir: string;
  /** `http://127.0.0.1:PORT` or `https://127.0.0.1:PORT`. */
  readonly endpoint: string;
  readonly port: number;
  readonly https: boolean;
  /** The root user's. */
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** What clients must trust; undefined for HTTP. */
  readonly caFile: string | undefined;
  readonly pid: number;
  /** What it wrote to stderr so far. */
  log(): string;
  /** `granary ARGS --data-dir ...`. */
  granary(...args: string[]): { code: number | null; stdout: string; stderr: string };
  /** SIGTERM, then its exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL of the server and all its workers. */
  kill(): Promise<void>;
  /** The same, and `dir` goes: a data dir that was given stays, for the next to start on. */
  discard(): Promise<void>;
  /** Stops it and removes its folders. */
  remove(): Promise<void>;
  readonly ended: Promise<number | null>;
}

/** Folders of servers that nobody has removed yet, with what runs there. */
const left = new Map<string, ChildProcess | undefined>();

/** After a file's other hooks, which are newer: where one failed, or a test did, neither a process nor a folder is left. */
afterAll(() => {
  for (const [dir, child] of left) {
    if (child?.exitCode === null && child.pid !== undefined)
      for (const pid of [...childrenOf(child.pid), child.pid]) tryKill(pid);
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
});

function removeDir(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  left.delete(dir);
}

/** Starts a server on a free port; settled once it is ready. */
export async function startS3(options: S3ServerOptions = {}): Promise<S3Server> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "granary-s3-")));
  left.set(dir, undefined);
  const dataDir = options.dataDir ?? join(dir, "data");
  const upstream = testUpstream(dataDir);
  const https = options.https ?? false;
  const tls = https ? makeCertificate(dir) : undefined;
  const credentials = { accessKey: "ROOTTESTKEY", secretKey: randomBytes(20).toString("hex") };
  const logFile = join(dir, "server.log");
  const output = openSync(logFile, "w");
  const args = [
    ...["objectstore", "--data-dir", dataDir, "--s3-listen", "127.0.0.1:0", "--metrics-address", ""],
    ...(tls ? ["--tls-cert", tls.cert, "--tls-key", tls.key] : []),
    ...(options.flags ?? []),
  ];
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ["ignore", output, output],
    env: {
      ...process.env,
      GRANARY_ROOT_ACCESS_KEY: credentials.accessKey,
      GRANARY_ROOT_SECRET_KEY: credentials.secretKey,
      ...upstream.env,
      ...options.env,
    },
  });
  closeSync(output);
  left.set(dir, child);
  const log = () => readFileSync(logFile, "utf8");
  const process_ = watched(child);
  const endpoint = await untilReady(dataDir, child, process_, log).catch((error: unknown) => {
    removeDir(dir);
    throw error;
  });
  const stop = () => process_.end("SIGTERM");
  const kill = async () => {
    const workers = childrenOf(child.pid ?? 0);
    await process_.end("SIGKILL");
    for (const pid of workers) tryKill(pid);
  };
  return {
    ...{ dataDir, dir, endpoint, https, log, stop, ...credentials },
    accessKey: options.env?.GRANARY_ROOT_ACCESS_KEY ?? credentials.accessKey,
    secretKey: options.env?.GRANARY_ROOT_SECRET_KEY ?? credentials.secretKey,
    port: Number(endpoint.slice(endpoint.lastIndexOf(":") + 1)),
    region: "us-east-1",
    caFile: tls?.cert,
    pid: child.pid ?? 0,
    ended: process_.ended,
    granary: (...words) => granary([...words, "--data-dir", dataDir]),
    kill,
    discard: async () => {
      await kill();
      removeDir(dir);
    },
    remove: async () => {
      await stop();
      if (options.dataDir === undefined) await upstream.remove();
      removeDir(dir);
    },
  };
}

/** Over HTTP and over HTTPS, for describe.each. */
export const PROTOCOLS = [
  { protocol: "http", https: false },
  { protocol: "https", https: true },
] as const;

/** `granary ARGS`: exit code and output. */
export function granary(args: readonly string[], env: Record<string, string> = {}, input = "") {
  const options = { encoding: "utf8", input, env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], options);
  return { code: status, stdout, stderr };
}

/** For starting one by hand where startS3 does too much. */
export const GRANARY_MAIN = MAIN;

function watched(child: ChildProcess) {
  let over = false;
  const ended = new Promise<number | null>((resolve) =>
    child.on("exit", (code) => {
      over = true;
      resolve(code);
    }),
  );
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    if (!over) child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    const code = await ended;
    clearTimeout(timer);
    return code;
  };
  return { ended, end, isOver: () => over };
}

async function untilReady(
  dataDir: string,
  child: ChildProcess,
  { end, isOver }: ReturnType<typeof watched>,
  log: () => string,
): Promise<string> {
  for (const endMs = Date.now() + READY_MS; ; await new Promise((resolve) => setTimeout(resolve, POLL_MS))) {
    // A record of an earlier server, killed, must not be taken for this one's.
    const own = (await serverFiles(dataDir)).some(({ record, alive }) => alive && record?.pid === child.pid);
    const place = own ? await findObjectStore(dataDir) : undefined;
    if (place !== undefined && place !== "starting") return place.s3Endpoint;
    if (isOver()) throw new Error(`granary objectstore ended before it was ready:\n${log()}`);
    if (Date.now() < endMs) continue;
    await end("SIGKILL");
    throw new Error(`granary objectstore was not ready in time:\n${log()}`);
  }
}

/** Processes that this one started, and theirs. */
export function childrenOf(pid: number): number[] {
  const own = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(Number(name)) === pid)
    .map(Number);
  return own.flatMap((found) => [found, ...childrenOf(found)]);
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name, in parentheses, may hold spaces: count from after it. ppid is field 4.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0;
  }
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended with its parent.
  }
}

/** A self-signed certificate, which is its own authority. */
function makeCertificate(dir: string): { cert: string; key: string } {
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  const args = [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1"],
    ...["-keyout", key, "-out", cert],
  ];
  const result = spawnSync("openssl", args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`openssl cannot make a certificate: ${result.stderr ?? result.error}`);
  return { cert, key };
}

/** A request without any client's doing: no signature, the target as it is given. */
export function plainRequest(
  server: Pick<S3Server, "endpoint" | "caFile">,
  target: string,
  options: { method?: string; headers?: Record<string, string>; body?: Buffer | string } = {},
): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
  const { protocol, hostname, port } = new URL(server.endpoint);
  const { method = "GET", headers = {}, body } = options;
  const ca = server.caFile ? { ca: readFileSync(server.caFile) } : {};
  const send = protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = send({ hostname, port, path: target, method, headers, agent: false, ...ca }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** A presigned URL, opened by nobody in particular. */
export function openUrl(server: Pick<S3Server, "endpoint" | "caFile">, url: string) {
  const { origin } = new URL(url);
  return plainRequest({ endpoint: origin, caFile: server.caFile }, url.slice(origin.length));
}
