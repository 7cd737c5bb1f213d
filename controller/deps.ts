import type { VolumeEngine } from "../src/engines/types.js";
import type { KeyedLock } from "../src/runtime/keyed-lock.js";

export const TOPOLOGY_KEY = "topology.csi.granary.dev/host";

/** What every controller RPC is built from. */
export interface ControllerDeps {
  engine: VolumeEngine;
  locks: KeyedLock;
  /** The nodes that reach this engine's pool. */
  nodeIds: readonly string[];
}
