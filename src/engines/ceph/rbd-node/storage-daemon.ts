import { stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../../../errors/storage-error.js";
import type { Exec } from "../../../os/exec.js";
import { attachLoop, detachLoop, loopBytes, loopsOnPath, refreshLoopSize } from "../../../os/loop.js";
import { listMounts, unmount } from "../../../os/mount.js";
import { daemonOf, endExport, exportedFile, startExport } from "../../../os/qemu-storage-daemon.js";
import type { Context } from "../../types.js";
import { type CephCluster, confText } from "../cluster.js";
import type { Attachments } from "./attachments.js";
import type { Mapped, Mapper, MapWish } from "./mapper.js";

/*
 * Crash model. The attachment's record and folder come first, then the daemon, then the loop device on the file that the
 * daemon shows. A loop device is made only after the image's name was proven while the daemon had it open; a daemon
 * without a loop device is therefore never used, but ended and started anew. Neither daemon nor loop device need this
 * process. A daemon that dies leaves a loop device on which everything fails: that is found, and told from a live one.
 */

/** As krbd and rbd-nbd have it: a file system that was made on larger sectors would not mount there, nor the reverse. */
const SECTOR_BYTES = 512n;
const RELEASE_MS = 5_000;
const POLL_MS = 20;

const refuse = (message: string) => new StorageError("failed-precondition", message);

/** librbd in a storage daemon of QEMU, shown by FUSE, and a loop device on it: for a host whose kernel knows no RBD. */
export function storageDaemon(exec: Exec, attachments: Attachments): Mapper {
  return {
    kind: "qemu-storage-daemon",
    async refuses() {
      return undefined;
    },
    list: () => list(attachments),
    map: (ctx, wish, cluster) => map(exec, ctx, attachments.folder(wish.identity, wish.readonly), wish, cluster),
    grow: (ctx, mapped, sizeBytes) =>
      grow(exec, ctx, attachments.folder(mapped.identity, mapped.readonly), mapped, sizeBytes),
    async unmap(ctx, { device, identity, readonly }) {
      await detachLoop(exec, ctx.signal, device);
      await released(ctx, device);
      await clear(exec, ctx, attachments.folder(identity, readonly));
    },
    clear: (ctx, identity, readonly) => clear(exec, ctx, attachments.folder(identity, readonly)),
  };
}

async function list(attachments: Attachments): Promise<Mapped[]> {
  const found: Mapped[] = [];
  for (const { mapper, identity, readonly } of await attachments.list()) {
    if (mapper !== "qemu-storage-daemon") continue;
    const folder = attachments.folder(identity, readonly);
    const loops = loopsOnPath(exportedFile(folder));
    if (loops.length === 0) continue;
    const alive = (await daemonOf(folder)) !== undefined;
    for (const loop of loops) {
      const sizeBytes = await loopBytes(loop.device);
      found.push({ mapper, device: loop.device, identity, readonly: loop.readonly, sizeBytes, alive });
    }
  }
  return found;
}

const exportMount = async (folder: string) =>
  (await listMounts()).find(({ mountPoint, fsType }) => mountPoint === exportedFile(folder) && /^fuse/.test(fsType));

async function map(exec: Exec, ctx: Context, folder: string, wish: MapWish, cluster: CephCluster): Promise<void> {
  await clear(exec, ctx, folder);
  const { pool, namespace, image } = wish.image;
  await cluster.withFiles(ctx, async ({ user, keyring }) => {
    // The driver takes no keyring but that of the config file, which is read at the start alone.
    const conf = join(folder, "ceph.conf");
    await writeFile(conf, confText(cluster.config, keyring), { mode: 0o600 });
    await startExport(exec, ctx.signal, { folder, pool, namespace, image, user, conf, readonly: wish.readonly });
  });
  await wish.prove();
  const file = exportedFile(folder);
  if (!(await exportMount(folder))) throw refuse(`${file} is not what the image's daemon shows`);
  const { size } = await stat(file);
  if (BigInt(size) < wish.sizeBytes) throw refuse(`${file} has ${size} bytes and the image ${wish.sizeBytes}`);
  await attachLoop(exec, ctx.signal, file, wish.readonly, SECTOR_BYTES);
}

async function grow(exec: Exec, ctx: Context, folder: string, mapped: Mapped, sizeBytes: bigint): Promise<void> {
  const file = exportedFile(folder);
  // The daemon keeps the size that it knows until it is told to change it: to the one that the image has already.
  if (BigInt((await stat(file)).size) < sizeBytes) await truncate(file, Number(sizeBytes));
  await refreshLoopSize(exec, ctx.signal, mapped.device);
}

/** losetup answers before the device is free when something has it open: it is detached once that is closed. */
async function released(ctx: Context, device: string): Promise<void> {
  const endMs = Date.now() + RELEASE_MS;
  const attached = () =>
    stat(join("/sys/block", device.replace("/dev/", ""), "loop")).then(
      () => true,
      () => false,
    );
  while (await attached()) {
    if (Date.now() > endMs) throw refuse(`${device} is still open somewhere`);
    await sleep(POLL_MS, undefined, { signal: ctx.signal });
  }
}

/** Ends the daemon and takes its mount away, unless a loop device is on it. */
async function clear(exec: Exec, ctx: Context, folder: string): Promise<void> {
  const [loop] = loopsOnPath(exportedFile(folder));
  if (loop) throw refuse(`${loop.device} is on the image still`);
  await endExport(ctx.signal, folder);
  if (await exportMount(folder)) await unmount(exec, ctx.signal, exportedFile(folder));
}
