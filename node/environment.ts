import type { Exec } from "../src/os/exec.js";
import type { Interruptions } from "./interruption.js";
import type { NodeState } from "./node-state.js";

/** What every node RPC works with. */
export interface NodeEnvironment {
  nodeId: string;
  poolDir: string;
  stateDir: string;
  exec: Exec;
  state: NodeState;
  interruptions: Interruptions;
  /**
   * Runs one operation at a time on a volume, marked while it runs: a crash in it is found at the next start.
   *
   * @param volumeId proven ours: it becomes a file's name
   * @throws StorageError aborted when another one is running
   */
  exclusive<T>(volumeId: string, operation: string, work: () => Promise<T>): Promise<T>;
}
