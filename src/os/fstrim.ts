import type { Exec } from "./exec.js";

/** Gives the blocks that a mounted filesystem no longer uses back to the pool, and answers how many bytes they were. */
export async function trim(exec: Exec, signal: AbortSignal, mountPoint: string): Promise<bigint> {
  const { stdout } = await exec("fstrim", ["--verbose", mountPoint], { signal });
  return BigInt(/\((\d+) bytes\)/.exec(stdout)?.[1] ?? "0");
}
