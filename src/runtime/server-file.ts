/**
 * How clients find the servers of a data dir, and how a second start on it is refused. The lock decides who may serve
 * (`locks/`, one for each service); the record beside it (`server.json`, or `controller.json` and `node.json`, and
 * `objectstore.json`) only tells where, and is written by the lock's holder alone. A killed server leaves both: its lock
 * is free, its record names a process that does not run.
 */
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../errors/storage-error.js";
import { isAlive, type ProcessIdentity, takeLock, thisProcess } from "./process-lock.js";

/** What a running server leaves in its data dir. */
export interface ServerRecord extends ProcessIdentity {
  /** Of the volumes' services. */
  csiEndpoint?: string;
  /** Of the object store, from when it is ready. */
  objectStore?: ObjectStorePlace;
}

/** Where a running object store is reached. */
export interface ObjectStorePlace {
  /** `http://127.0.0.1:9000`, with the real port. */
  s3Endpoint: string;
  /** The admin API's unix socket, and the file with its token. */
  adminSocket: string;
  adminTokenFile: string;
}

type VolumeRole = "up" | "controller" | "node";
type Role = VolumeRole | "objectstore";
const ROLES: readonly Role[] = ["up", "controller", "node", "objectstore"];
// A registry has one controller and a host one node service, whoever runs them. The object store is claimed by itself,
// by `granary up` too.
const SERVICES = {
  up: ["controller", "node"],
  controller: ["controller"],
  node: ["node"],
  objectstore: ["objectstore"],
} as const satisfies Record<Role, readonly string[]>;

const fileFor = (dataDir: string, role: Role) => join(dataDir, role === "up" ? "server.json" : `${role}.json`);

/**
 * Takes a data dir for one server of volumes: of any number of starts at once, one wins. It is free again when the
 * process ends.
 *
 * @returns what gives it back
 * @throws StorageError failed-precondition when another server runs on this data dir, or serves on the same endpoint
 */
export async function claimDataDir(
  dataDir: string,
  role: VolumeRole,
  csiEndpoint: string,
): Promise<() => Promise<void>> {
  const { release } = await claim(dataDir, role, { csiEndpoint });
  try {
    await refuseSharedEndpoint(dataDir, fileFor(dataDir, role), csiEndpoint);
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

export interface ObjectStoreClaim {
  /** Lets clients find it. Called once it is ready. */
  announce(place: ObjectStorePlace): Promise<void>;
  release(): Promise<void>;
}

/**
 * Takes a data dir's object store for this process, beside what it or others claimed of the data dir's volumes.
 *
 * @throws StorageError failed-precondition when another process has it
 */
export async function claimObjectStore(dataDir: string): Promise<ObjectStoreClaim> {
  const { write, release } = await claim(dataDir, "objectstore", {});
  return { announce: (objectStore) => write({ objectStore }), release };
}

type Told = Omit<ServerRecord, keyof ProcessIdentity>;

async function claim(dataDir: string, role: Role, told: Told) {
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
  const write = async (more: Told) => {
    const record: ServerRecord = { ...(await thisProcess()), ...more };
    await fs.writeFile(`${path}.tmp`, JSON.stringify(record));
    await fs.rename(`${path}.tmp`, path);
  };
  try {
    for (const name of SERVICES[role])
      held.push(await takeLock({ folder: join(dataDir, "locks"), name, refusal }, { timeoutMs: 0 }));
    await write(told);
  } catch (error) {
    await release();
    throw error;
  }
  return { write, release };
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

/**
 * Where the object store of a data dir is reached, if it runs. `starting`: it runs and is not ready yet.
 */
export async function findObjectStore(dataDir: string): Promise<ObjectStorePlace | "starting" | undefined> {
  const record = await readRecord(fileFor(dataDir, "objectstore"));
  if (!record || !(await isAlive(record))) return undefined;
  return record.objectStore ?? "starting";
}

/** The endpoints of a data dir's services that run: `up` has both at one, `granary controller` and `granary node` one each. */
export async function findServers(dataDir: string): Promise<{ controller?: string; node?: string }> {
  const found: { controller?: string; node?: string } = {};
  for (const role of ["up", "controller", "node"] as const) {
    const record = await readRecord(fileFor(dataDir, role));
    if (record?.csiEndpoint === undefined || !(await isAlive(record))) continue;
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
