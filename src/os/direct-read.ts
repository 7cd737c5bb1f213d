import { type Exec, ExecError } from "./exec.js";

/**
 * Whether the device's first sectors can be read from what is behind it, past the page cache. In a process of its own: a
 * device whose storage does not answer holds its reader for ever, and this process has few threads to lose.
 */
export async function readsDirectly(exec: Exec, signal: AbortSignal, device: string): Promise<boolean> {
  try {
    await exec("dd", [`if=${device}`, "of=/dev/null", "bs=4096", "count=1", "iflag=direct"], { signal });
    return true;
  } catch (error) {
    if (error instanceof ExecError && error.reason === "exit") return false;
    throw error;
  }
}
