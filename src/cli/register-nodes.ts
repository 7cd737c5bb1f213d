import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import type { CephCluster } from "../engines/ceph/cluster.js";
import { registerRbdNode } from "../engines/ceph/rbd/index.js";
import { messageOf } from "../errors/storage-error.js";

const TRY_MS = 30_000;
const AGAIN_MS = 10_000;

/**
 * Says to each cluster with pools that this node reaches it, which its controllers publish volumes to then. In the
 * background, for as long as it takes: a cluster that does not answer keeps no node from serving.
 *
 * @returns what ends it
 */
export function registerNodes(clusters: readonly CephCluster[], nodeId: string, log: Logger): () => Promise<void> {
  const stopped = new AbortController();
  const running = clusters
    .filter(({ config }) => config.pools.length > 0)
    .map((cluster) => register(cluster, nodeId, log, stopped.signal));
  return async () => {
    stopped.abort();
    await Promise.all(running);
  };
}

async function register(cluster: CephCluster, nodeId: string, log: Logger, stopped: AbortSignal): Promise<void> {
  while (!stopped.aborted) {
    try {
      const signal = AbortSignal.any([stopped, AbortSignal.timeout(TRY_MS)]);
      await registerRbdNode({ signal, requestId: "register", log }, cluster, nodeId);
      return;
    } catch (error) {
      if (stopped.aborted) return;
      log.warn({ cluster: cluster.name, error: messageOf(error) }, "this node could not say that it is there");
      await setTimeout(AGAIN_MS, undefined, { signal: stopped }).catch(() => {});
    }
  }
}
