import { spawnSync } from "node:child_process";
import { arch, cpus, loadavg, platform, release, tmpdir, totalmem } from "node:os";

/** Where and with what a run was made: its numbers mean nothing without. */
export interface About {
  command: string;
  /** ISO 8601, when the run began. */
  date: string;
  kernel: string;
  node: string;
  cpu: string;
  memoryGib: number;
  /** Of the folder that the data lay in. */
  fileSystem: string;
  /** Running processes, a mean over a minute, before the run: above the number of CPUs it was not alone. */
  loadBefore: number;
}

const firstLine = (program: string, ...args: string[]) =>
  (spawnSync(program, args, { encoding: "utf8" }).stdout ?? "").trim().split("\n").at(-1)?.trim() ?? "";

/** `script` is the one of package.json that was run with `argv`; `dir` is on the file system that was measured. */
export function aboutThisMachine(script: string, argv: readonly string[], dir = tmpdir()): About {
  const [cpu] = cpus();
  return {
    command: `npm run ${script} -- ${argv.join(" ")}`.replace(/ -- $/, ""),
    date: new Date().toISOString(),
    kernel: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    cpu: `${cpus().length} x ${cpu?.model.trim() ?? "unknown"}`,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    fileSystem: firstLine("findmnt", "-n", "-o", "FSTYPE,SIZE,AVAIL", "--target", dir).replace(/\s+/g, " "),
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** The facts as a Markdown list. */
export function aboutList(about: About): string {
  return [
    `- command: \`${about.command}\``,
    `- date: ${about.date}`,
    `- kernel: ${about.kernel}; Node ${about.node}`,
    `- CPU: ${about.cpu}; memory: ${about.memoryGib} GiB`,
    `- file system under the data (type, size, free): ${about.fileSystem}`,
    `- load before the run: ${about.loadBefore.toFixed(2)}`,
    "",
    "",
  ].join("\n");
}
