import { readFileSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Exec, ExecError } from "./exec.js";

export interface MountEntry {
  majorMinor: string;
  /** The path inside the mounted filesystem that is shown at `mountPoint`. */
  root: string;
  mountPoint: string;
  /** Options of this mount alone (ro, noexec ...), not of its filesystem. */
  options: readonly string[];
  fsType: string;
  source: string;
  /** Options of the filesystem itself: `ro` here and not above means that it went read-only by itself. */
  superOptions: readonly string[];
}

const unescapeOctal = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** The text of /proc/self/mountinfo as entries, oldest first: of several at one mount point the last is seen (proc(5)). */
export function parseMountinfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    const dash = fields.indexOf("-", 6);
    const [, , majorMinor, root, mountPoint, options] = fields;
    const [fsType, source, superOptions] = dash < 0 ? [] : fields.slice(dash + 1);
    if (!majorMinor || !root || !mountPoint || !options || !fsType || source === undefined) continue;
    entries.push({
      majorMinor,
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
      options: options.split(","),
      fsType,
      source: unescapeOctal(source),
      superOptions: (superOptions ?? "").split(","),
    });
  }
  return entries;
}

export async function listMounts(): Promise<MountEntry[]> {
  // Synchronous: it is memory, and read several times in every call to a node; four turns of the thread pool cost more.
  return parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** What is mounted at exactly this path, or undefined: a symlinked parent (/var/lib/kubelet) is followed. */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    // What is mounted there does not answer (a FUSE process that died, a device that is gone); the folder above it does.
    real = join(await realpath(dirname(path)), basename(path));
  }
  return (await listMounts()).filter((entry) => entry.mountPoint === real).at(-1);
}

/** Mount flags may hold a secret, and mount(8) repeats those that it does not know: its words are dropped then. */
async function runMount(exec: Exec, signal: AbortSignal, args: readonly string[], secret: boolean): Promise<void> {
  try {
    await exec("mount", args, { signal });
  } catch (error) {
    if (!(error instanceof ExecError) || !secret) throw error;
    throw new ExecError(
      "mount",
      error.exitCode,
      "the mount options may be wrong; see the node's kernel log",
      error.reason,
    );
  }
}

export async function mountDevice(
  exec: Exec,
  signal: AbortSignal,
  what: { device: string; path: string; fsType: string; own: readonly string[]; flags: readonly string[] },
): Promise<void> {
  const options = [...what.own, ...what.flags].join(",");
  const args = ["-t", what.fsType, ...(options ? ["-o", options] : []), what.device, what.path];
  await runMount(exec, signal, args, what.flags.length > 0);
}

export async function bindMount(exec: Exec, signal: AbortSignal, source: string, target: string): Promise<void> {
  await exec("mount", ["--bind", source, target], { signal });
}

/** Makes one bind mount read-only; its other flags are repeated, since a bind remount replaces them all (mount(2)). */
export async function remountReadonly(exec: Exec, signal: AbortSignal, entry: MountEntry): Promise<void> {
  const kept = entry.options.filter((option) => option !== "rw" && option !== "ro");
  await runMount(exec, signal, ["-o", ["remount", "bind", "ro", ...kept].join(","), entry.mountPoint], true);
}

export async function unmount(exec: Exec, signal: AbortSignal, path: string): Promise<void> {
  await exec("umount", [path], { signal });
}
