import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../errors/storage-error.js";
import { readIfPresent } from "./durable-file.js";
import { type Exec, startDetached } from "./exec.js";
import { endProcess, hasArgument, processesWith } from "./processes.js";

/** An RBD image that a storage daemon shows as a file. */
export interface RbdExport {
  /** The daemon's own folder. Its path is in the daemon's command line, and so proves a process to be it. */
  folder: string;
  pool: string;
  namespace: string;
  image: string;
  user: string;
  /** A ceph.conf that names the keyring. Read at the start alone. */
  conf: string;
  readonly: boolean;
}

const PROGRAM = "qemu-storage-daemon";
const POLL_MS = 50;

/** Where the image is, as a file of the image's size. */
export const exportedFile = (folder: string): string => join(folder, "image");
const pidFile = (folder: string): string => join(folder, "pid");

/**
 * Starts a daemon that shows the image as the file `exportedFile`; settled once it is there. It outlives this process.
 *
 * @throws ExecError with the daemon's words; StorageError when the signal fired: the daemon may then come up all the same,
 * and `daemonsIn` finds it
 */
export async function startExport(exec: Exec, signal: AbortSignal, what: RbdExport): Promise<void> {
  const { folder, pool, namespace, image, user, conf, readonly } = what;
  await writeFile(exportedFile(folder), "");
  const blockdev = {
    ...{ driver: "rbd", "node-name": "image", pool, namespace, image, user, conf, "read-only": readonly },
    // Not direct: with librbd's own cache, whose content a flush makes durable.
    ...{ discard: "unmap", cache: { direct: false } },
  };
  const fuse = `type=fuse,id=export,node-name=image,mountpoint=${exportedFile(folder)},writable=${readonly ? "off" : "on"}`;
  const args = ["--daemonize", "--pidfile", pidFile(folder), "--blockdev", JSON.stringify(blockdev), "--export", fuse];
  const { pid } = await startDetached(exec, PROGRAM, args, { signal, pidFile: pidFile(folder) });
  // Whoever frees memory may have to write through it first. Refused where the host does not allow it: then it is as others.
  await writeFile(`/proc/${pid}/oom_score_adj`, "-1000").catch(() => undefined);
}

/** The daemon that has the folder's image open and shows it, proven by its command line. */
export async function daemonOf(folder: string): Promise<number | undefined> {
  const pid = Number((await readIfPresent(pidFile(folder)))?.trim());
  return Number.isInteger(pid) && pid > 0 && (await serves(pid, folder)) ? pid : undefined;
}

/** Every process of the folder, one that is still starting too. */
export const daemonsIn = (folder: string): Promise<number[]> => processesWith(PROGRAM, "--pidfile", pidFile(folder));

const serves = (pid: number, folder: string): Promise<boolean> =>
  hasArgument(pid, PROGRAM, "--pidfile", pidFile(folder));

/**
 * Ends the folder's daemons in order, so that what they hold in memory is in the cluster, and waits for it.
 *
 * @throws StorageError unavailable when one does not end before the signal fires: it is left alone
 */
export async function endExport(signal: AbortSignal, folder: string): Promise<void> {
  const served = await daemonOf(folder);
  for (const pid of await daemonsIn(folder)) endProcess(pid, pid === served ? "SIGTERM" : "SIGKILL");
  while ((await daemonsIn(folder)).length > 0) {
    if (signal.aborted) throw new StorageError("unavailable", "the image's daemon does not end: is its cluster there?");
    await sleep(POLL_MS);
  }
}
