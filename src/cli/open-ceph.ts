import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/config.js";
import type { CephAttachers } from "../engines/attacher-set.js";
import { openCephfsEngine } from "../engines/ceph/cephfs/index.js";
import { cephfsAttacher } from "../engines/ceph/cephfs-node/index.js";
import { CephCluster } from "../engines/ceph/cluster.js";
import { openRbdEngine } from "../engines/ceph/rbd/index.js";
import { rbdAttacher } from "../engines/ceph/rbd-node/index.js";
import type { ClusterEngines } from "../engines/engine-set.js";
import type { Exec } from "../os/exec.js";
import { registerNodes } from "./register-nodes.js";

type Where = Pick<Config, "clusters" | "dataDir">;

/** The engines of each cluster of the config. None of the clusters need answer yet. */
export async function openCephEngines(
  config: Where,
  exec: Exec,
  log: Logger,
): Promise<{ engines: ReadonlyMap<string, ClusterEngines>; close(): Promise<void> }> {
  const stateDir = join(config.dataDir, "ceph", "controller");
  const opened = new Map<string, ClusterEngines>();
  for (const cluster of config.clusters) {
    const named = log.child({ cluster: cluster.name });
    const block = await openRbdEngine(cluster, exec, named, stateDir);
    const shared = await openCephfsEngine(cluster, exec, named, stateDir);
    opened.set(cluster.name, { block, shared });
  }
  const close = async () => {
    await Promise.all([...opened.values()].flatMap(({ block, shared }) => [block.close(), shared?.close()]));
  };
  return { engines: opened, close };
}

/**
 * The node's halves for the clusters of the config; undefined where it has none.
 *
 * @param log of a node that serves: it says to the clusters that it is there
 */
export function openCephAttachers(
  config: Where & Pick<Config, "nodeId">,
  exec: Exec,
  log?: Logger,
): { attachers: CephAttachers; close(): Promise<void> } | undefined {
  if (config.clusters.length === 0) return undefined;
  const stateDir = join(config.dataDir, "ceph", "node");
  const clusters = new Map(config.clusters.map((one) => [one.name, new CephCluster(one, exec, stateDir)]));
  const cluster = (name: string) => clusters.get(name);
  const stopRegistering = log ? registerNodes([...clusters.values()], config.nodeId, log) : async () => {};
  return {
    attachers: {
      clusters: [...clusters.keys()],
      block: rbdAttacher({ exec, nodeId: config.nodeId, stateDir: join(config.dataDir, "ceph", "rbd"), cluster }),
      shared: cephfsAttacher({ exec, stateDir, cluster }),
    },
    close: async () => {
      await stopRegistering();
      await Promise.all([...clusters.values()].map((one) => one.close()));
    },
  };
}
