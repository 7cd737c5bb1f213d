import { readdir, readFile } from "node:fs/promises";

/** The processes of this host that run the program with this option: a path of ours in it proves them to be ours. */
export async function processesWith(program: string, option: string, value: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map((pid) => hasArgument(pid, program, option, value)));
  return pids.filter((_, i) => found[i]);
}

export async function hasArgument(pid: number, program: string, option: string, value: string): Promise<boolean> {
  // A process that has ended has no command line, and neither has one that nobody has waited for yet.
  const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  const args = line.split("\0");
  const at = args.indexOf(option);
  return at > 0 && args[at + 1] === value && (args[0] ?? "").split("/").at(-1) === program;
}

/** Fine when it has ended by itself. */
export function endProcess(pid: number, how: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, how);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
