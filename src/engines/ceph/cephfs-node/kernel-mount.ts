import { readFileSync } from "node:fs";
import { release } from "node:os";
import { StorageError } from "../../../errors/storage-error.js";
import { type Exec, ExecError } from "../../../os/exec.js";
import type { Context } from "../../types.js";

export interface MountWish {
  filesystem: string;
  path: string;
  user: string;
  /** A config file that names the monitors. */
  conf: string;
  /** A file with the key alone. */
  secretFile: string;
  target: string;
  readonly: boolean;
  flags: readonly string[];
}

// The first kernel whose CephFS speaks the monitors' second protocol.
const SECOND_PROTOCOL = [5, 11] as const;

function speaksSecondProtocol(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map(Number);
  return major > SECOND_PROTOCOL[0] || (major === SECOND_PROTOCOL[0] && minor >= SECOND_PROTOCOL[1]);
}

/** The options of mount.ceph(8). Its device names no monitors: it takes those of the config file that fit the protocol. */
export function kernelOptions(wish: MountWish, kernel: string = release()): string {
  return [
    `name=${wish.user}`,
    `secretfile=${wish.secretFile}`,
    `mds_namespace=${wish.filesystem}`,
    `conf=${wish.conf}`,
    ...(speaksSecondProtocol(kernel) ? ["ms_mode=prefer-crc"] : []),
    ...(wish.readonly ? ["ro"] : []),
    ...wish.flags,
  ].join(",");
}

/** The kernel has CephFS, or its module can be loaded. */
export async function hasKernelMount(exec: Exec, ctx: Context): Promise<boolean> {
  const known = () => /^nodev\s+ceph$/m.test(readFileSync("/proc/filesystems", "utf8"));
  if (!known()) await exec("modprobe", ["ceph"], { signal: ctx.signal }).catch(() => {});
  if (!known()) return false;
  // Without its helper, mount(8) would need the secret on its command line.
  return exec("mount.ceph", ["-h"], { signal: ctx.signal, okCodes: [0, 1, 22] }).then(
    () => true,
    (error: unknown) => {
      if (error instanceof ExecError) return error.reason !== "missing";
      throw error;
    },
  );
}

export async function mountByKernel(exec: Exec, ctx: Context, wish: MountWish): Promise<void> {
  try {
    await exec("mount", ["-t", "ceph", `:${wish.path}`, wish.target, "-o", kernelOptions(wish)], {
      signal: ctx.signal,
    });
  } catch (error) {
    throw mountFailure(error, wish);
  }
}

/** Mount flags may hold a secret, and the tools repeat those that they do not know: then their words are dropped. */
export function mountFailure(error: unknown, wish: Pick<MountWish, "flags" | "path">): unknown {
  if (!(error instanceof ExecError)) return error;
  const said =
    error.stderr.split("\n").find((line) => /error|failed|denied|unknown|invalid/i.test(line)) ?? error.stderr;
  const words = wish.flags.length > 0 ? "the mount options may be wrong; see the node's kernel log" : said.trim();
  if (error.reason === "missing")
    return new StorageError("failed-precondition", `${error.program} is not installed on this node: install it`);
  const cause = new ExecError(error.program, error.exitCode, words, error.reason);
  // mount.ceph says the connection's errors by their numbers: 110 no monitor or metadata server, 5 the mount timed out.
  const unavailable = /110|timed out|connection|no mds/i.test(said);
  return new StorageError(
    unavailable ? "unavailable" : "failed-precondition",
    `${error.program} of ${wish.path} failed: ${words}`,
    { cause },
  );
}
