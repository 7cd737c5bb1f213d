import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { StorageError } from "../errors/storage-error.js";

/** A tool that could not do its work. `argv` holds the program and its redacted arguments. */
export class ExecError extends Error {
  constructor(
    readonly program: string,
    readonly exitCode: number | null,
    readonly stderr: string,
    readonly reason: "exit" | "signal" | "missing",
  ) {
    super(
      `${program} ${reason === "missing" ? "is not installed" : `failed (exit ${exitCode ?? "by signal"})`}: ${stderr.trim()}`,
    );
    this.name = "ExecError";
  }
}

export interface ExecOptions {
  /** Ends the child, and every process it started, when it fires. */
  signal?: AbortSignal;
  /** Exit codes that are an answer, not a failure. Default: 0 alone. */
  okCodes?: readonly number[];
  /** Called with each line of stdout as it comes. */
  onLine?: (line: string) => void;
}

export interface ExecResult {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/** Runs programs. The real one is `exec`; a test passes one that hangs or fails where a tool would. */
export type Exec = (program: string, args: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

/** Where programs are looked for. */
export const toolPath = () => process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin";

const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Runs a program without a shell, in its own process group, with LC_ALL=C. When the signal fires the whole group is
 * killed, so that no hung tool outlives its request.
 *
 * @throws StorageError deadline-exceeded or cancelled when the signal fired
 * @throws ExecError on any other failure
 */
export const exec: Exec = (program, args, options = {}) => {
  const { signal, okCodes = [0], onLine } = options;
  if (signal?.aborted) return Promise.reject(abortedError(program, signal));
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: toolPath(), LC_ALL: "C" },
    });
    let stdout = "";
    let stderr = "";
    let partial = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < OUTPUT_LIMIT_BYTES) stdout += text;
      if (!onLine) return;
      const lines = (partial + text).split("\n");
      partial = lines.pop() ?? "";
      lines.forEach(onLine);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (stderr.length < 65_536) stderr += text;
    });
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // The group ended by itself between the signal and here.
      }
      // A process stuck in the kernel cannot be killed: the request must end all the same.
      reject(abortedError(program, signal));
    };
    signal?.addEventListener("abort", kill, { once: true });
    const done = () => signal?.removeEventListener("abort", kill);
    child.on("error", (error: NodeJS.ErrnoException) => {
      done();
      // EACCES: execvp(3) says so when a folder of PATH may not be searched and no other has the program.
      const missing = error.code === "ENOENT" || error.code === "EACCES";
      reject(new ExecError(program, null, error.message, missing ? "missing" : "signal"));
    });
    child.on("close", (exitCode, killedBy) => {
      done();
      if (exitCode !== null && okCodes.includes(exitCode)) resolve({ stdout, stderr, exitCode });
      else reject(new ExecError(program, exitCode, stderr, killedBy ? "signal" : "exit"));
    });
  });
};

/**
 * Starts a program that puts itself in the background once it is ready (daemon(7)), as its own session: neither the end of
 * this process nor that of the request ends it. Settled when it is ready.
 *
 * @param pidFile where the program writes its process id before it says that it is ready
 * @throws ExecError with its words when it did not start. When the signal fires what is in the foreground is killed; what
 * is in the background already is the caller's to find.
 */
export async function startDetached(
  exec: Exec,
  program: string,
  args: readonly string[],
  { signal, pidFile }: { signal: AbortSignal; pidFile: string },
): Promise<{ pid: number }> {
  await exec(program, args, { signal });
  const pid = Number((await readFile(pidFile, "utf8")).trim());
  if (!Number.isInteger(pid) || pid <= 1) throw new ExecError(program, 0, `${pidFile} holds no process id`, "exit");
  return { pid };
}

function abortedError(program: string, signal: AbortSignal | undefined): StorageError {
  const timedOut = (signal?.reason as Error | undefined)?.name === "TimeoutError";
  return timedOut
    ? new StorageError("deadline-exceeded", `${program} did not end before the request's deadline and was stopped`)
    : new StorageError("cancelled", `the request was cancelled while ${program} ran`);
}

/** Another command of this program, that runs beside it and is talked to. */
export interface ChildServer {
  readonly pid: number;
  /** Settles with how it ended, for people. */
  readonly ended: Promise<string>;
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  terminate(): void;
  kill(): void;
}

/**
 * Starts `granary ARGS` with this process's environment and stderr. When this process dies, however it does, the child's
 * channel closes, by which it knows.
 *
 * @param main the path of main.js
 */
export function startServer(main: string, args: readonly string[]): ChildServer {
  const child: ChildProcess = spawn(process.execPath, [main, ...args], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    // Ctrl-C goes to this process alone: it decides when the child ends.
    detached: true,
  });
  const ended = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return {
    pid: child.pid ?? 0,
    ended,
    send: (message) => {
      if (child.connected) child.send(message as object, () => {});
    },
    onMessage: (listener) => void child.on("message", listener),
    terminate: () => void child.kill("SIGTERM"),
    kill: () => void child.kill("SIGKILL"),
  };
}
