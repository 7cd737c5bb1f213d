import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../../errors/storage-error.js";
import { imageIn, openPool, type PoolSpace, poolSpace, snapshotDir, volumeDir } from "./pool.js";
import { Registry } from "./registry.js";

export interface PoolStatus extends PoolSpace {
  dir: string;
  reflink: boolean;
  committedBytes: bigint;
  commitLimitBytes: bigint;
  /** What the images take; an extent that several share counts in each of them. */
  allocatedBytes: bigint;
  overcommit: number;
  volumes: number;
  snapshots: number;
}

/** Reads the pool's space and the registry, beside a running server or without one. */
export async function readPoolStatus(where: {
  dataDir: string;
  poolDir: string;
  overcommit: number;
}): Promise<PoolStatus> {
  const registryDir = join(where.dataDir, "registry");
  const present = await fs.stat(join(registryDir, "data.mdb")).catch(() => null);
  if (!present) {
    throw new StorageError(
      "failed-precondition",
      `${where.dataDir} has no registry yet: run granary up --data-dir ${where.dataDir} first`,
    );
  }
  const registry = new Registry(registryDir, { readOnly: true });
  try {
    const pool = await openPool(where.poolDir);
    const space = await poolSpace(pool);
    const [volumes, snapshots] = [registry.volumes(), registry.snapshots()];
    const dirs = [...volumes.map((v) => volumeDir(pool, v.id)), ...snapshots.map((s) => snapshotDir(pool, s.id))];
    const stats = await Promise.all(dirs.map((dir) => fs.stat(imageIn(dir), { bigint: true }).catch(() => null)));
    return {
      ...space,
      dir: pool.dir,
      reflink: pool.reflink,
      committedBytes: volumes.reduce((sum, volume) => sum + volume.capacityBytes, 0n),
      commitLimitBytes: BigInt(Math.floor(Number(space.totalBytes) * where.overcommit)),
      allocatedBytes: stats.reduce((sum, stat) => sum + (stat ? stat.blocks * 512n : 0n), 0n),
      overcommit: where.overcommit,
      volumes: volumes.length,
      snapshots: snapshots.length,
    };
  } finally {
    await registry.close();
  }
}
