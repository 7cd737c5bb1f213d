import type { Exec } from "./exec.js";

/** Stops writes to a mounted filesystem and puts what is in memory on its device: a snapshot taken now is consistent. */
export async function freeze(exec: Exec, signal: AbortSignal, mountPoint: string): Promise<void> {
  await exec("fsfreeze", ["--freeze", mountPoint], { signal });
}

/** Lets writes go on. Pass a signal of its own: a request that timed out while frozen must still end here. */
export async function thaw(exec: Exec, signal: AbortSignal, mountPoint: string): Promise<void> {
  await exec("fsfreeze", ["--unfreeze", mountPoint], { signal });
}
