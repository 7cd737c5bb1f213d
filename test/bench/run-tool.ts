import { spawn } from "node:child_process";

/**
 * Runs a program to its end, without a shell; it is ended when `signal` fires. Node's own event loop goes on, so the
 * time it takes is the program's.
 *
 * @throws Error with what it said on stderr when it fails, and the signal's reason when that fired
 */
export function runTool(signal: AbortSignal, program: string, ...args: string[]): Promise<string> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, LC_ALL: "C" } });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const end = () => child.kill("SIGTERM");
    signal.addEventListener("abort", end, { once: true });
    child.on("error", reject);
    child.on("close", (code) => {
      signal.removeEventListener("abort", end);
      if (signal.aborted) reject(signal.reason as Error);
      else if (code === 0) resolve(stdout);
      else reject(new Error(`${program} ${args.join(" ")}: exit ${code}: ${stderr.trim()}`));
    });
  });
}
