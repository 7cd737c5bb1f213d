import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Sandbox } from "./server-harness.js";

export function run(program: string, ...args: string[]): string {
  const result = spawnSync(program, args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

/** A file system in a file of its own, mounted in the sandbox. */
export interface SmallDisk {
  readonly image: string;
  readonly type: "ext4" | "xfs";
  readonly mounted: string;
  remount(option: "ro" | "rw"): void;
  /** Read-only for those too who have files open, as the kernel makes an ext4 that it finds damaged; until it is mounted again. */
  abort(): void;
  /** As if it was pulled: everything that is asked of it from now on is answered with EIO. */
  fail(): void;
  unmount(): void;
  mount(): void;
}

/**
 * @param name of the image `NAME.img` and the mount point `NAME`, made in `within`, the sandbox's own folder unless told
 */
export function makeDisk(
  sandbox: Sandbox,
  name: string,
  bytes: number,
  type: "ext4" | "xfs",
  within?: string,
): SmallDisk {
  const image = join(within ?? sandbox.dir, `${name}.img`);
  const mounted = join(sandbox.dir, name);
  mkdirSync(mounted, { recursive: true });
  run("truncate", "-s", String(bytes), image);
  // Without lazy initialization, whose writes would come at any time later.
  if (type === "ext4") run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image);
  else run("mkfs.xfs", "-q", image);
  return mountImage(image, mounted, type);
}

/** What is on the disk's image at this moment, which is what was synced, and little more; on a file system with reflinks. */
export function copyDisk(sandbox: Sandbox, { image, type }: SmallDisk, name: string): SmallDisk {
  const copy = join(dirname(image), `${name}.img`);
  const mounted = join(sandbox.dir, name);
  mkdirSync(mounted, { recursive: true });
  run("cp", "--reflink=always", image, copy);
  return mountImage(copy, mounted, type);
}

function mountImage(image: string, mounted: string, type: "ext4" | "xfs"): SmallDisk {
  // A copy has the file system's own id as well, which XFS wants to see once.
  const options = type === "xfs" ? "loop,noatime,nouuid" : "loop,noatime";
  const disk: SmallDisk = {
    ...{ image, mounted, type },
    mount: () => void run("mount", "-o", options, image, mounted),
    unmount: () => unmount(mounted),
    abort: () => void run("mount", "-o", "remount,abort,errors=remount-ro", mounted),
    fail: () => void run("xfs_io", "-x", "-c", "shutdown", mounted),
    remount: (option) => void run("mount", "-o", `remount,${option}`, mounted),
  };
  disk.mount();
  return disk;
}

/** Processes that were killed a moment ago still have files open. */
function unmount(mounted: string): void {
  for (let tries = 0; tries < 50; tries++) {
    if (spawnSync("umount", [mounted]).status === 0) return;
    spawnSync("sleep", ["0.1"]);
  }
  run("umount", mounted);
}

/** A RAM disk: what is written in it is limited at once, not when it is written back. */
export function makeRamDisk(sandbox: Sandbox, name: string, bytes: number): string {
  const mounted = join(sandbox.dir, name);
  mkdirSync(mounted, { recursive: true });
  run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", mounted);
  return mounted;
}
