/**
 * The node's half of the CephFS engine: the kernel's own client where the host has it, else ceph-fuse.
 *
 * Crash model: nothing is kept here. A mount shows by its source which volume it is, the kernel's and ceph-fuse's alike, and
 * so it is found again by whoever comes next; ceph-fuse is in a session of its own and lives as long as its mount. The
 * volume's key is a file for the time of one mount call; what a crash leaves of it is in a private folder, taken away by
 * the next process.
 */
import { mkdirSync, mkdtempSync } from "node:fs";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { messageOf, StorageError } from "../../../errors/storage-error.js";
import { type Exec, ExecError } from "../../../os/exec.js";
import { listMounts, type MountEntry, mountAt } from "../../../os/mount.js";
import type { FilesystemAttacher, NodeRef } from "../../attacher.js";
import type { Context } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import { awaitFuseEnd, fuseProcesses, mountByFuse } from "./fuse-mount.js";
import { hasKernelMount, mountByKernel } from "./kernel-mount.js";
import { readKey } from "./key.js";
import { identityOf, isMountOf, type Share, shareOf } from "./share.js";

const UNDO_MS = 10_000;

export type Mounter = "kernel" | "fuse";

export interface CephfsAttacherOptions {
  exec: Exec;
  /** A folder of this process's own, for keys while they are needed. */
  stateDir: string;
  /** The configured cluster of that name. */
  cluster(name: string): CephCluster | undefined;
  /** Instead of what the host is found to have; a StorageClass's `mounter` wins over it. */
  mounter?: Mounter;
}

/** For `granary doctor`: by what this host mounts shared volumes of Ceph, or why it cannot. */
export async function detectMounter(exec: Exec, ctx: Context): Promise<Mounter> {
  if (await hasKernelMount(exec, ctx)) return "kernel";
  const missing = await exec("ceph-fuse", ["--version"], { signal: ctx.signal }).then(
    () => false,
    (error: unknown) => error instanceof ExecError && error.reason === "missing",
  );
  if (!missing) return "fuse";
  throw new StorageError(
    "failed-precondition",
    "this node can mount no CephFS: its kernel has no ceph module with mount.ceph (package ceph-common), and ceph-fuse is not installed",
  );
}

export function cephfsAttacher(options: CephfsAttacherOptions): FilesystemAttacher {
  return new CephfsAttacher(options);
}

class CephfsAttacher implements FilesystemAttacher {
  readonly type = "filesystem";
  readonly #dir: string;
  #detected: Mounter | undefined;
  #counter = 0;

  constructor(private readonly options: CephfsAttacherOptions) {
    const parent = join(options.stateDir, "ceph");
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    // Named so that the next process takes it away when this one dies (CephCluster).
    this.#dir = mkdtempSync(join(parent, `node-${process.pid}-`));
  }

  async prove(ctx: Context, ref: NodeRef): Promise<string> {
    const share = shareOf(ref);
    await readKey(ctx, this.#cluster(ref, share), ref.volumeId, share);
    return identityOf(share);
  }

  async mount(
    ctx: Context,
    ref: NodeRef,
    at: { path: string; readonly: boolean; flags: readonly string[] },
  ): Promise<void> {
    const share = shareOf(ref);
    const cluster = this.#cluster(ref, share);
    const key = await readKey(ctx, cluster, ref.volumeId, share);
    const mounter = share.mounter || this.options.mounter || (await this.#detect(ctx));
    const name = join(this.#dir, `key-${++this.#counter}`);
    const text = mounter === "kernel" ? key : `[client.${share.userId}]\n\tkey = ${key}\n`;
    await fs.writeFile(name, text, { mode: 0o600 });
    try {
      await cluster.withFiles(ctx, async ({ conf }) => {
        const { filesystem, path, userId: user } = share;
        const readonly = at.readonly || share.readonly === "true";
        const wish = { filesystem, path, user, conf, secretFile: name, target: at.path, readonly, flags: at.flags };
        if (mounter === "kernel") await mountByKernel(this.options.exec, ctx, wish);
        else await mountByFuse(this.options.exec, ctx, { ...wish, identity: identityOf(share), keyring: name });
      });
    } catch (error) {
      await this.#undo(at.path, identityOf(share));
      throw error;
    } finally {
      await fs.rm(name, { force: true });
    }
    const entry = await mountAt(at.path);
    if (entry && isMountOf(entry, identityOf(share))) return;
    throw new StorageError("internal", `volume ${ref.volumeId} was mounted at ${at.path}, and is not there`);
  }

  /** A ceph-fuse that was ended in the middle may leave a mount that nobody serves. */
  async #undo(path: string, identity: string): Promise<void> {
    const entry = await mountAt(path);
    if (!entry || !isMountOf(entry, identity)) return;
    await this.options.exec("umount", ["-l", path], { signal: AbortSignal.timeout(UNDO_MS) }).catch(() => {});
  }

  owns(entry: MountEntry, _ref: NodeRef, identity: string): boolean {
    return isMountOf(entry, identity);
  }

  async problem(ctx: Context, ref: NodeRef, identity: string): Promise<string | undefined> {
    const mounts = (await listMounts()).filter((entry) => isMountOf(entry, identity));
    if (mounts.some(({ fsType }) => fsType !== "ceph") && fuseProcesses(identity).length === 0)
      return "the volume's ceph-fuse has ended: what has it mounted gets errors; unstage it, and stage it again";
    try {
      const share = shareOf(ref);
      await readKey(ctx, this.#cluster(ref, share), ref.volumeId, share);
    } catch (error) {
      return messageOf(error);
    }
    return undefined;
  }

  async unmount(ctx: Context, ref: NodeRef, path: string): Promise<void> {
    const identity = identityOf(shareOf(ref));
    const entry = await mountAt(path);
    if (entry && isMountOf(entry, identity)) await this.#umount(ctx, path);
    const others = (await listMounts()).some((one) => isMountOf(one, identity));
    if (!others) await awaitFuseEnd(ctx, identity);
  }

  async #umount(ctx: Context, path: string): Promise<void> {
    try {
      await this.options.exec("umount", [path], { signal: ctx.signal });
    } catch (error) {
      if (!(error instanceof ExecError)) throw error;
      const code = /busy/i.test(error.stderr) ? "failed-precondition" : "internal";
      throw new StorageError(code, `umount of ${path} failed: ${error.stderr.trim()}`, { cause: error });
    }
  }

  async #detect(ctx: Context): Promise<Mounter> {
    this.#detected ??= await detectMounter(this.options.exec, ctx);
    return this.#detected;
  }

  #cluster(ref: NodeRef, share: Share): CephCluster {
    const cluster = this.options.cluster(share.cluster);
    if (cluster) return cluster;
    throw new StorageError(
      "failed-precondition",
      `volume ${ref.volumeId} is of the Ceph cluster ${share.cluster}, which is not in this node's config: clusters`,
    );
  }
}
