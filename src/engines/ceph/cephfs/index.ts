/**
 * The CephFS volume engine: a shared volume is a subvolume of one group, its size the subvolume's quota.
 *
 * Truth is in Ceph alone: a record of each volume and snapshot in the file system's metadata pool (see
 * docs/decisions/018-records-of-shared-volumes.md), under a lock that expires with its holder. Each operation begins with a
 * record of what it is about to do and ends with one of what is done; each of its steps can be repeated by any controller.
 * What a crash between two steps leaves is said at the head of each operation's file.
 */
import type { Logger } from "pino";
import type { ClusterConfig } from "../../../config/clusters.js";
import { messageOf } from "../../../errors/storage-error.js";
import type { Exec } from "../../../os/exec.js";
import type { Context } from "../../types.js";
import { CephCluster } from "../cluster.js";
import { CephfsVolumeEngine } from "./engine.js";
import { filesystemFacts } from "./filesystem-facts.js";
import { parseSnapshotRecord, parseVolumeRecord } from "./record.js";
import { RecordPool } from "./record-pool.js";
import { Records } from "./records.js";
import type { Shelf } from "./shelf.js";
import { type Ceph, Subvolumes } from "./subvolumes.js";
import { WriteLock } from "./write-lock.js";

export { CephfsVolumeEngine } from "./engine.js";

const RECOVER_MS = 120_000;
const LOCK_LASTS_MS = 60_000;

/**
 * The engine of one cluster's file system. The cluster need not answer yet: until it does, calls are unavailable.
 *
 * @param stateDir a folder of this process's own, for files that hold keys while they are needed
 * @param lockLastsMs how long a controller's lock outlives it; work under it has a fifth less
 */
export async function openCephfsEngine(
  config: ClusterConfig,
  exec: Exec,
  log: Logger,
  stateDir: string,
  lockLastsMs = LOCK_LASTS_MS,
): Promise<CephfsVolumeEngine> {
  const cluster = new CephCluster(config, exec, stateDir);
  const ceph: Ceph = async (ctx, args) => (await cluster.run(ctx, "ceph", [...args, "--format", "json"])).stdout;
  const facts = filesystemFacts(config, ceph);
  const pool = new RecordPool(cluster, async (ctx) => (await facts(ctx)).metadataPool, stateDir);
  const shelf: Shelf = {
    ...{ config, log, ceph, facts, pool },
    volumes: new Records(pool, "volumes", parseVolumeRecord),
    snapshots: new Records(pool, "snapshots", parseSnapshotRecord),
    subvolumes: new Subvolumes(ceph, async (ctx) => (await facts(ctx)).filesystem, config.subvolumeGroup),
    lock: new WriteLock(pool, lockLastsMs),
  };
  const ending = new AbortController();
  const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(RECOVER_MS)]);
  const engine = new CephfsVolumeEngine(shelf, async () => {
    ending.abort();
    await recovered;
    await pool.close();
    await cluster.close();
  });
  const ctx: Context = { signal, requestId: "recover", log };
  const recovered = engine.recover(ctx).catch((error: unknown) => {
    if (!ending.signal.aborted)
      log.warn({ error: messageOf(error) }, "what other controllers left of shared volumes was not looked for");
  });
  return engine;
}
