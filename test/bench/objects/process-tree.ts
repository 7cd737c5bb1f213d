import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ: what /proc/PID/stat counts in. It is 100 on every platform that Linux lets Node run on. */
const TICKS_A_SECOND = 100;

export interface ProcessStat {
  pid: number;
  parent: number;
  /** Of all its threads, and of the children that ended and were waited for. */
  cpuSeconds: number;
}

/** One process's /proc/PID/stat (proc(5)). The name in parentheses may hold spaces and parentheses itself. */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  // Field 3, the state, is fields[0]; 14 to 17 are utime, stime, cutime and cstime.
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid: Number.parseInt(text, 10), parent: Number(fields[1]), cpuSeconds: ticks / TICKS_A_SECOND };
}

/** A file of /proc, or nothing when its process is gone. */
function procFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** The process and all its descendants. */
export function processTree(pid: number): ProcessStat[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => procFile(`/proc/${name}/stat`) ?? [])
    .map(parseStat);
  const tree = all.filter((stat) => stat.pid === pid);
  for (let i = 0; i < tree.length; i++) tree.push(...all.filter(({ parent }) => parent === tree[i]?.pid));
  return tree;
}

/** CPU seconds that the tree has used so far, to a hundredth. */
export const treeCpuSeconds = (pid: number): number =>
  processTree(pid).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);

export interface TreeMemory {
  /** Proportional set size: what is shared, between its processes or with others, is counted once in all. */
  pssMib: number;
  /** The part of it that no file holds: what the kernel cannot take back. */
  anonymousMib: number;
}

/** Resident memory of the tree, by /proc/PID/smaps_rollup. */
export function treeMemory(pid: number): TreeMemory {
  let [pssKib, anonymousKib] = [0, 0];
  for (const process of processTree(pid)) {
    const text = procFile(`/proc/${process.pid}/smaps_rollup`) ?? "";
    pssKib += Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
    anonymousKib += Number(/^Pss_Anon:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
  }
  return { pssMib: pssKib / 1024, anonymousMib: anonymousKib / 1024 };
}
