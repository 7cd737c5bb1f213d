import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../../errors/storage-error.js";
import type { Snapshot, Volume } from "../../model/volume.js";
import { assertPool, imageIn, type Pool, type PoolSpace, poolSpace, readPool, snapshotDir, volumeDir } from "./pool.js";
import { readRegistryCopy } from "./registry-copy.js";

export interface PoolStatus extends PoolSpace {
  dir: string;
  reflink: boolean;
  /** The sum of the volumes' sizes: what was promised. */
  committedBytes: bigint;
  commitLimitBytes: bigint;
  /** What the images take; an extent that several share counts in each of them. */
  allocatedBytes: bigint;
  overcommit: number;
  volumes: number;
  snapshots: number;
}

/** The pool's figures, from its file system and what the registry holds. */
export async function poolStatus(
  pool: Pool,
  { volumes, snapshots }: { volumes: readonly Volume[]; snapshots: readonly Snapshot[] },
  overcommit: number,
): Promise<PoolStatus> {
  const space = await poolSpace(pool);
  const dirs = [...volumes.map((v) => volumeDir(pool, v.id)), ...snapshots.map((s) => snapshotDir(pool, s.id))];
  const stats = await Promise.all(dirs.map((dir) => fs.stat(imageIn(dir), { bigint: true }).catch(() => null)));
  return {
    ...space,
    dir: pool.dir,
    reflink: pool.reflink,
    committedBytes: volumes.reduce((sum, volume) => sum + volume.capacityBytes, 0n),
    commitLimitBytes: BigInt(Math.floor(Number(space.totalBytes) * overcommit)),
    allocatedBytes: stats.reduce((sum, stat) => sum + (stat ? stat.blocks * 512n : 0n), 0n),
    overcommit,
    volumes: volumes.length,
    snapshots: snapshots.length,
  };
}

/**
 * Reads the pool's space and the registry, beside a running server or without one. Changes nothing.
 *
 * @throws StorageError failed-precondition when there is no registry yet, or the pool is not where it was
 */
export async function readPoolStatus(where: {
  dataDir: string;
  poolDir: string;
  overcommit: number;
}): Promise<PoolStatus> {
  const contents = await readRegistryCopy(join(where.dataDir, "registry"));
  if (!contents) {
    throw new StorageError(
      "failed-precondition",
      `${where.dataDir} has no registry yet: run granary up --data-dir ${where.dataDir} first`,
    );
  }
  await assertPool({ dir: where.poolDir, uuid: contents.poolUuid });
  return poolStatus((await readPool(where.poolDir)) as Pool, contents, where.overcommit);
}
