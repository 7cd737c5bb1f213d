/**
 * A pool on a device or in a file of its own: XFS with reflinks, mounted at the pool's folder. Crash model: the record
 * `pool.json` says "formatting" before mkfs and "formatted" after it; a repeated init finishes what a crash left, and a
 * server mounts only a "formatted" one, proven by its UUID.
 */
import { randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { invalid, StorageError } from "../../errors/storage-error.js";
import { edgesAreZero, probeDevice } from "../../os/blkid.js";
import { readIfPresent, writeDurably } from "../../os/durable-file.js";
import type { Exec } from "../../os/exec.js";
import { attachLoop, deviceBytes, fileIdentity, listLoops } from "../../os/loop.js";
import { makeFilesystem } from "../../os/mkfs.js";
import { listMounts, mountAt, mountDevice } from "../../os/mount.js";
import { takeLock } from "../../runtime/process-lock.js";

export type PoolSource = { type: "device"; path: string } | { type: "file"; path: string; sizeBytes: bigint };

interface PoolRecord {
  version: 1;
  state: "formatting" | "formatted";
  type: "device" | "file";
  path: string;
  uuid: string;
}

const MOUNT_MS = 60_000;
const MIN_POOL_BYTES = 1024n ** 3n;
const refuse = (message: string) => new StorageError("failed-precondition", message);
const recordPath = (dataDir: string) => join(dataDir, "pool.json");

/**
 * Makes the pool. Nothing that holds data is formatted: a device must be unmounted, carry no signature and read as
 * blank; a file must not exist yet.
 *
 * @throws StorageError failed-precondition in every case of doubt; invalid-argument for a size below 1 GiB
 */
export async function initPool(exec: Exec, signal: AbortSignal, dataDir: string, poolDir: string, source: PoolSource) {
  const before = await readPoolRecord(dataDir);
  if (before?.state === "formatted") throw refuse(`${dataDir} has a pool already, on ${before.path}`);
  await assertUnused(poolDir);
  const resumed = before?.path === source.path;
  const device = source.type === "file" ? await makeFile(exec, signal, source, resumed) : source.path;
  if (!resumed) await assertBlank(exec, signal, device);
  const record: PoolRecord = {
    version: 1,
    state: "formatting",
    type: source.type,
    path: source.path,
    uuid: randomUUID(),
  };
  await writeDurably(recordPath(dataDir), JSON.stringify(record));
  const options = ["-m", "reflink=1", "-L", "granary"];
  await makeFilesystem(exec, signal, { device, fsType: "xfs", uuid: record.uuid, options });
  await writeDurably(recordPath(dataDir), JSON.stringify({ ...record, state: "formatted" }));
}

/** Mounts the data dir's pool at `poolDir`, if one was made; a plain folder is the pool otherwise. */
export async function mountPool(exec: Exec, signal: AbortSignal, dataDir: string, poolDir: string): Promise<void> {
  const record = await readPoolRecord(dataDir);
  if (!record) return;
  // A controller and a node that start at once must not both attach it.
  const release = await takeLock(
    {
      folder: join(dataDir, "locks"),
      name: "pool",
      refusal: ({ pid }) => `granary, process ${pid}, is mounting the pool of ${dataDir} and does not end`,
    },
    { timeoutMs: MOUNT_MS, signal },
  );
  try {
    await mountRecorded(exec, signal, record, poolDir);
  } finally {
    await release();
  }
}

async function mountRecorded(exec: Exec, signal: AbortSignal, record: PoolRecord, poolDir: string): Promise<void> {
  if (record.state === "formatting") throw refuse("granary pool init was interrupted: run it again");
  const device = record.type === "file" ? await attachPoolFile(exec, signal, record.path) : record.path;
  await fs.mkdir(poolDir, { recursive: true, mode: 0o700 });
  const mounted = await mountAt(poolDir);
  if (mounted?.source === device) return;
  if (mounted) throw refuse(`${poolDir} is mounted from ${mounted.source}, not from the pool's ${device}`);
  const found = await probeDevice(exec, signal, device);
  if (found.uuid !== record.uuid) {
    throw refuse(
      `${device} is not the pool that was made here: its UUID is ${found.uuid || "none"}, not ${record.uuid}`,
    );
  }
  await assertUnused(poolDir);
  // A pool file's own holes are given back to the file system that it lies in.
  const own = record.type === "file" ? ["noatime", "discard"] : ["noatime"];
  await mountDevice(exec, signal, { device, path: poolDir, fsType: "xfs", own, flags: [] });
}

/** What `granary pool init` recorded, or undefined: the pool is then a plain folder. */
export async function readPoolRecord(dataDir: string): Promise<PoolRecord | undefined> {
  const text = await readIfPresent(recordPath(dataDir));
  return text === undefined ? undefined : (JSON.parse(text) as PoolRecord);
}

async function makeFile(exec: Exec, signal: AbortSignal, source: PoolSource & { type: "file" }, resumed: boolean) {
  if (source.sizeBytes < MIN_POOL_BYTES)
    throw invalid(`--size: a pool needs at least 1Gi, not ${source.sizeBytes} bytes`);
  const file = await fs.open(source.path, resumed ? "a" : "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") throw refuse(`${source.path} exists; a pool file is always a new one`);
    if (error.code === "ENOENT") throw refuse(`the folder of ${source.path} does not exist`);
    throw error;
  });
  try {
    await file.truncate(Number(source.sizeBytes));
    await file.sync();
  } finally {
    await file.close();
  }
  return attachPoolFile(exec, signal, source.path);
}

async function attachPoolFile(exec: Exec, signal: AbortSignal, path: string): Promise<string> {
  const identity = await fileIdentity(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? refuse(`the pool's file ${path} is missing`) : error;
  });
  const find = async () => (await listLoops(exec, signal)).find((loop) => loop.identity === identity && !loop.readonly);
  const attached = await find();
  if (attached) return attached.device;
  await attachLoop(exec, signal, path, false);
  const loop = await find();
  if (!loop) throw refuse(`${path} could not be attached to a loop device`);
  return loop.device;
}

async function assertBlank(exec: Exec, signal: AbortSignal, device: string): Promise<void> {
  const stat = await fs.stat(device).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? refuse(`${device} does not exist`) : error;
  });
  if (!stat.isBlockDevice()) throw refuse(`${device} is not a block device; for a file use --file and --size`);
  const mounted = (await listMounts()).find((entry) => entry.source === device);
  if (mounted) throw refuse(`${device} is mounted at ${mounted.mountPoint}`);
  const sizeBytes = await deviceBytes(exec, signal, device);
  if (sizeBytes < MIN_POOL_BYTES) throw refuse(`${device} has ${sizeBytes} bytes; a pool needs at least 1 GiB`);
  const found = await probeDevice(exec, signal, device);
  if (found.type !== "")
    throw refuse(`${device} holds ${found.type}; it is not touched. Wipe it yourself (wipefs) if it may go`);
  if (!(await edgesAreZero(device, sizeBytes))) throw refuse(`${device} does not read as blank; it is not touched`);
}

// Mounting over a folder with volumes would hide them.
async function assertUnused(poolDir: string): Promise<void> {
  for (const part of ["volumes", "snapshots"]) {
    const entries = await fs.readdir(join(poolDir, part)).catch(() => []);
    if (entries.length > 0)
      throw refuse(`${poolDir} holds ${entries.length} ${part} already; a new pool would hide them`);
  }
}
