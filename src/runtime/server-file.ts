/**
 * How clients find the servers of a data dir, and how a second start on it is refused. The lock decides who may serve
 * (`locks/`, one for each service); the record beside it (`server.json`, or `controller.json` and `node.json`) only tells
 * where, and is written by the lock's holder alone. A killed server leaves both: its lock is free, its record names a
 * process that does not run.
 */
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../errors/storage-error.js";
import { isAlive, type ProcessIdentity, takeLock, thisProcess } from "./process-lock.js";

/** What a running server leaves in its data dir. */
export interface ServerRecord extends ProcessIdentity {
  csiEndpoint: string;
}

type Role = "up" | "controller" | "node";
const ROLES: readonly Role[] = ["up", "controller", "node"];
// A registry has one controller and a host one node service, whoever runs them.
const SERVICES = { up: ["controller", "node"], controller: ["controller"], node: ["node"] } as const satisfies Record<
  Role,
  readonly string[]
>;

const fileFor = (dataDir: string, role: Role) => join(dataDir, role === "up" ? "server.json" : `${role}.json`);

/**
 * Takes a data dir for one server: of any number of starts at once, one wins. It is free again when the process ends.
 *
 * @returns what gives it back
 * @throws StorageError failed-precondition when another server runs on this data dir, or serves on the same endpoint
 */
export async function claimDataDir(dataDir: string, role: Role, csiEndpoint: string): Promise<() => Promise<void>> {
  await fs.mkdir(dataDir, { recursive: true, mode: 0o711 });
  const refusal = ({ pid }: ProcessIdentity) =>
    `the data dir ${dataDir} is in use by granary, process ${pid}; stop it or choose another --data-dir`;
  const path = fileFor(dataDir, role);
  const held: (() => Promise<void>)[] = [];
  const release = async () => {
    // The record goes first: it is the next holder's from the moment the lock is free.
    if (held.length === SERVICES[role].length) await fs.rm(path, { force: true });
    for (const giveBack of held.reverse()) await giveBack();
  };
  try {
    for (const name of SERVICES[role])
      held.push(await takeLock({ folder: join(dataDir, "locks"), name, refusal }, { timeoutMs: 0 }));
    const record: ServerRecord = { ...(await thisProcess()), csiEndpoint };
    await fs.writeFile(`${path}.tmp`, JSON.stringify(record));
    await fs.rename(`${path}.tmp`, path);
    await refuseSharedEndpoint(dataDir, path, csiEndpoint);
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

/** A controller and a node of one data dir have an endpoint each: who starts last would take the socket of the first. */
async function refuseSharedEndpoint(dataDir: string, own: string, csiEndpoint: string): Promise<void> {
  const others = (await serverFiles(dataDir)).filter(({ path, alive }) => alive && path !== own);
  const same = others.find(({ record }) => record?.csiEndpoint === csiEndpoint);
  if (same)
    throw new StorageError(
      "failed-precondition",
      `granary, process ${same.record?.pid}, serves on ${csiEndpoint} already; give this one another --csi-endpoint`,
    );
}

/** The endpoints of a data dir's services that run: `up` has both at one, `granary controller` and `granary node` one each. */
export async function findServers(dataDir: string): Promise<{ controller?: string; node?: string }> {
  const found: { controller?: string; node?: string } = {};
  for (const role of ROLES) {
    const record = await readRecord(fileFor(dataDir, role));
    if (!record || !(await isAlive(record))) continue;
    for (const service of SERVICES[role]) found[service] ??= record.csiEndpoint;
  }
  return found;
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
  for (const role of ROLES) {
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
