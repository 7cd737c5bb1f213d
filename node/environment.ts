import type { Attacher, DeviceAttacher } from "../src/engines/attacher.js";
import type { Exec } from "../src/os/exec.js";
import type { Interruptions } from "./interruption.js";
import type { NodeState } from "./node-state.js";

/** What every node RPC works with. */
export interface NodeEnvironment {
  nodeId: string;
  stateDir: string;
  exec: Exec;
  state: NodeState;
  interruptions: Interruptions;
  /**
   * The engine's half on this host that the volume's id means; `ephemeral` for kubelet's inline volumes, which have none.
   *
   * @throws StorageError not-found for an id that is nobody's; failed-precondition where this node's config has not its cluster
   */
  attacherOf(volumeId: string): Attacher;
  ephemeral: DeviceAttacher;
  /**
   * Runs one operation at a time on a volume, marked while it runs: a crash in it is found at the next start.
   *
   * @param volumeId proven ours: it becomes a file's name
   * @throws StorageError aborted when another one is running
   */
  exclusive<T>(volumeId: string, operation: string, work: () => Promise<T>): Promise<T>;
}
