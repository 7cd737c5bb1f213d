import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { childrenOf, type S3Server } from "../s3/harness.js";

/** What the worker processes of a server are. */
export function workersOf(server: S3Server): number[] {
  return childrenOf(server.pid).filter((pid) => commandLine(pid).includes("objectstore-worker"));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** The most memory that a process ever had resident. */
export function peakBytes(pid: number): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`process ${pid} does not say what memory it has`);
  return Number(kib) * 1024;
}

/** Files of bodies, with their sizes. */
export function bodyFiles(dataDir: string): Map<string, number> {
  const files = new Map<string, number>();
  for (const entry of readdirSync(join(dataDir, "objects", "bodies"), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(path, statSync(path).size);
  }
  return files;
}

const ESTABLISHED = "01";

/** How many established connections a server's port has with these ports of this machine. */
export function connectionsOf(port: number, clients: ReadonlySet<number>): number {
  const portOf = (address = "") => Number.parseInt(address.split(":")[1] ?? "", 16);
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local, remote, state]) => state === ESTABLISHED && portOf(local) === port && clients.has(portOf(remote)),
    ).length;
}
