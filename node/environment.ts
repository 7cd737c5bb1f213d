import type { Exec } from "../src/os/exec.js";
import type { KeyedLock } from "../src/runtime/keyed-lock.js";
import type { NodeState } from "./node-state.js";

/** What every node RPC works with. */
export interface NodeEnvironment {
  nodeId: string;
  poolDir: string;
  stateDir: string;
  exec: Exec;
  lock: KeyedLock;
  state: NodeState;
}
