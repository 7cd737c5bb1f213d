import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../errors/storage-error.js";

/** What a running server leaves in its data dir, so that clients find it and a second start is refused. */
export interface ServerRecord {
  pid: number;
  /** The process's start in clock ticks since boot: a recycled pid is not taken for the server. */
  startTicks: string;
  csiEndpoint: string;
}

const fileFor = (dataDir: string, role: string) => join(dataDir, role === "up" ? "server.json" : `${role}.json`);

/** @throws StorageError failed-precondition when another server runs on this data dir */
export async function claimDataDir(dataDir: string, role: string, csiEndpoint: string): Promise<() => Promise<void>> {
  await fs.mkdir(dataDir, { recursive: true, mode: 0o711 });
  const path = fileFor(dataDir, role);
  const record: ServerRecord = { pid: process.pid, startTicks: await startTicks(process.pid), csiEndpoint };
  const mine = `${path}.${process.pid}`;
  await fs.writeFile(mine, JSON.stringify(record));
  try {
    for (let attempt = 0; ; attempt++) {
      const holder = await readRecord(path);
      if (holder && (await isAlive(holder))) {
        throw new StorageError(
          "failed-precondition",
          `the data dir ${dataDir} is in use by granary, process ${holder.pid}; stop it or choose another --data-dir`,
        );
      }
      if (holder || attempt > 0) await fs.rm(path, { force: true });
      // A hard link fails if the name exists: of two starts at once, one wins.
      const linked = await fs.link(mine, path).then(
        () => true,
        () => false,
      );
      if (linked) return () => fs.rm(path, { force: true });
      if (attempt >= 2)
        throw new StorageError("failed-precondition", `${path} cannot be claimed; is another start under way?`);
    }
  } finally {
    await fs.rm(mine, { force: true });
  }
}

/** The endpoint of the server that runs on this data dir, or null. */
export async function findServer(dataDir: string): Promise<string | null> {
  const record = await readRecord(fileFor(dataDir, "up"));
  return record && (await isAlive(record)) ? record.csiEndpoint : null;
}

export interface ServerFile {
  path: string;
  /** Null when the file cannot be understood. */
  record: ServerRecord | null;
  alive: boolean;
}

/** What servers left in the data dir, running or not. */
export async function serverFiles(dataDir: string): Promise<ServerFile[]> {
  const found: ServerFile[] = [];
  for (const role of ["up", "controller", "node"]) {
    const path = fileFor(dataDir, role);
    const present = await fs.stat(path).catch(() => null);
    if (!present) continue;
    const record = await readRecord(path);
    found.push({ path, record, alive: record !== null && (await isAlive(record)) });
  }
  return found;
}

async function readRecord(path: string): Promise<ServerRecord | null> {
  try {
    return JSON.parse(await fs.readFile(path, "utf8")) as ServerRecord;
  } catch {
    return null;
  }
}

async function isAlive(record: ServerRecord): Promise<boolean> {
  return (await startTicks(record.pid)) === record.startTicks && record.startTicks !== "";
}

async function startTicks(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The program's name, in parentheses, may hold spaces: count from after it. starttime is field 22.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
