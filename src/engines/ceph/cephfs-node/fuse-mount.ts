import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../../../errors/storage-error.js";
import type { Exec } from "../../../os/exec.js";
import type { Context } from "../../types.js";
import { type MountWish, mountFailure } from "./kernel-mount.js";
import { fuseSource } from "./share.js";

export interface FuseWish extends MountWish {
  identity: string;
  keyring: string;
}

/**
 * ceph-fuse's command line. It is root's, and shown to all by /proc: no key is in it, and by `fsname` the mount and the
 * process are found again.
 */
export function fuseArguments(wish: FuseWish): string[] {
  const options = [`fsname=${fuseSource(wish.identity)}`, ...(wish.readonly ? ["ro"] : []), ...wish.flags];
  return [
    ...["--conf", wish.conf, "--id", wish.user, "--keyring", wish.keyring, "--client_fs", wish.filesystem],
    // A subvolume's root is where its quota is: df shows the volume, not the cluster.
    ...["-r", wish.path, "--client_quota_df=true", wish.target, "-o", options.join(",")],
  ];
}

/**
 * Starts ceph-fuse. It goes into the background by itself when the file system is mounted, in a session of its own (Exec
 * gives each program one), and ends with its mount: it is nobody's child, and outlives this process.
 */
export async function mountByFuse(exec: Exec, ctx: Context, wish: FuseWish): Promise<void> {
  try {
    await exec("ceph-fuse", fuseArguments(wish), { signal: ctx.signal });
  } catch (error) {
    throw mountFailure(error, wish);
  }
}

/** Processes that serve the volume, whatever started them: by what their command line says. */
export function fuseProcesses(identity: string): number[] {
  const source = fuseSource(identity);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const words = commandLine(pid);
      const options = words[words.indexOf("-o") + 1] ?? "";
      return /(^|\/)ceph-fuse$/.test(words[0] ?? "") && options.split(",").includes(`fsname=${source}`);
    });
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

const POLL_MS = 50;

/**
 * Waits for the processes of a volume whose last mount was taken away. umount(2) of a FUSE mount returns at once; what was
 * written and not synced goes to the cluster after that, and a client that is cut off before its end loses it.
 *
 * @throws StorageError aborted when one still runs at the request's end
 */
export async function awaitFuseEnd(ctx: Context, identity: string): Promise<void> {
  for (;;) {
    const [pid] = fuseProcesses(identity);
    if (pid === undefined) return;
    if (ctx.signal.aborted)
      throw new StorageError(
        "aborted",
        `ceph-fuse (process ${pid}) still writes what the volume was left with; retry, it ends when that is done`,
      );
    await sleep(POLL_MS);
  }
}
