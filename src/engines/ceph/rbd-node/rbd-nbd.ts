import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../../../errors/storage-error.js";
import type { Exec } from "../../../os/exec.js";
import { endProcess, processesWith } from "../../../os/processes.js";
import type { Attachments } from "./attachments.js";
import { specOf } from "./image.js";
import type { Mapped, Mapper } from "./mapper.js";

const GROW_MS = 10_000;
const POLL_MS = 50;

/** librbd in a process of rbd-nbd's own, behind the kernel's nbd. */
export function rbdNbd(exec: Exec, attachments: Attachments): Mapper {
  const pidFile = (identity: string, readonly: boolean) => join(attachments.folder(identity, readonly), "pid");
  return {
    kind: "rbd-nbd",
    async refuses() {
      return undefined;
    },
    list: () => list(attachments, pidFile),
    async map(ctx, wish, cluster) {
      const readonly = wish.readonly ? ["--read-only"] : [];
      // In the daemon's command line the pid file's path names the attachment, and so the image.
      const own = ["--pid-file", pidFile(wish.identity, wish.readonly)];
      const { stdout } = await cluster.run(ctx, "rbd-nbd", ["map", specOf(wish.image), ...readonly, ...own]);
      try {
        await wish.prove();
      } catch (error) {
        await exec("rbd-nbd", ["unmap", stdout.trim()], { signal: ctx.signal });
        throw error;
      }
    },
    async grow(ctx, { device }, sizeBytes) {
      const endMs = Date.now() + GROW_MS;
      // rbd-nbd watches the image, and grows the device by itself.
      while ((await bytesOf(device.replace("/dev/", ""))) < sizeBytes) {
        if (Date.now() > endMs)
          throw new StorageError("unavailable", `${device} does not see that its image has grown`);
        await sleep(POLL_MS, undefined, { signal: ctx.signal });
      }
    },
    async unmap(ctx, { device }) {
      await exec("rbd-nbd", ["unmap", device], { signal: ctx.signal });
    },
    async clear(ctx, identity, readonly) {
      // A daemon that dies takes its device with it; one that lost its device serves nobody.
      const left = () => processesWith("rbd-nbd", "--pid-file", pidFile(identity, readonly));
      for (const pid of await left()) endProcess(pid, "SIGKILL");
      while ((await left()).length > 0) await sleep(POLL_MS, undefined, { signal: ctx.signal });
    },
  };
}

const bytesOf = async (name: string) => BigInt((await readFile(`/sys/block/${name}/size`, "utf8")).trim()) * 512n;

async function list(
  attachments: Attachments,
  pidFile: (identity: string, readonly: boolean) => string,
): Promise<Mapped[]> {
  const ours = (await attachments.list()).filter(({ mapper }) => mapper === "rbd-nbd");
  if (ours.length === 0) return [];
  const found: Mapped[] = [];
  for (const name of (await readdir("/sys/block")).filter((block) => /^nbd\d+$/.test(block))) {
    const pid = await readFile(`/sys/block/${name}/pid`, "utf8").catch(() => undefined);
    if (pid === undefined) continue;
    const args = (await readFile(`/proc/${pid.trim()}/cmdline`, "utf8").catch(() => "")).split("\0");
    const named = args[args.indexOf("--pid-file") + 1];
    const attachment = ours.find(({ identity, readonly }) => pidFile(identity, readonly) === named);
    if (!attachment) continue;
    const { mapper, identity, readonly } = attachment;
    found.push({ mapper, device: `/dev/${name}`, identity, readonly, sizeBytes: await bytesOf(name), alive: true });
  }
  return found;
}
