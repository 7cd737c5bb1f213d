import { z } from "zod";
import { notFound, StorageError } from "../../../errors/storage-error.js";
import type { Capacity, Condition, Context } from "../../types.js";
import { copyWords } from "./create-volume.js";
import { subvolumeName } from "./names.js";
import { findVolume, type Shelf } from "./shelf.js";
import type { SubvolumeInfo } from "./subvolumes.js";

const FULL_SHARE = 0.95;
/** CephFS counts quotas in bytes, and its clients show them in blocks of 4 MiB. */
export const MIN_VOLUME_BYTES = 4n * 1024n * 1024n;
/** A quota is a signed 64-bit number; what a cluster has ends long before. */
export const MAX_VOLUME_BYTES = 2n ** 60n;

const Status = z.looseObject({
  health: z.looseObject({
    checks: z.record(z.string(), z.looseObject({ summary: z.looseObject({ message: z.string() }) })),
  }),
});
const Filesystem = z.looseObject({
  mdsmap: z.looseObject({
    up: z.record(z.string(), z.unknown()),
    info: z.record(z.string(), z.looseObject({ rank: z.number(), state: z.string() })),
  }),
});
const Usage = z.looseObject({
  pools: z.array(
    z.looseObject({
      name: z.string(),
      stats: z.looseObject({ stored: z.number(), max_avail: z.number(), quota_bytes: z.number().optional() }),
    }),
  ),
});

/** Health checks that keep a shared volume from being read or written, now or soon. */
const OF_VOLUMES = /^(MDS_|FS_|PG_AVAILABILITY|PG_DAMAGED|OSD_FULL|OSD_NEARFULL|POOL_FULL|POOL_NEAR_FULL|PG_DEGRADED)/;
const TOO_MINOR = new Set(["MDS_UP_LESS_THAN_MAX", "MDS_INSUFFICIENT_STANDBY"]);

/** Why the file system does not serve, or null: a rank of it has no daemon that is active. */
async function notServing(shelf: Shelf, ctx: Context): Promise<string | null> {
  const { filesystem } = await shelf.facts(ctx);
  const { mdsmap } = Filesystem.parse(JSON.parse(await shelf.ceph(ctx, ["fs", "get", filesystem])));
  const ranks = Object.values(mdsmap.info).filter(({ rank }) => rank >= 0);
  const [other] = ranks.filter(({ state }) => state !== "up:active");
  if (Object.keys(mdsmap.up).length === 0) return `no metadata server serves file system ${filesystem}`;
  return other ? `rank ${other.rank} of file system ${filesystem} is ${other.state}` : null;
}

export async function volumeCondition(shelf: Shelf, ctx: Context, id: string): Promise<Condition> {
  const found = await findVolume(shelf, ctx, id);
  if (!found || found.record.state === "deleting") throw notFound(`volume ${id} does not exist`);
  const { record, hash } = found;
  const name = subvolumeName(hash, record.token);
  const away = await notServing(shelf, ctx);
  if (away !== null) return { abnormal: true, message: away };
  if (record.state === "creating") {
    if (!record.copy) return { abnormal: false, message: "it is being made" };
    const status = await shelf.subvolumes.copyStatus(ctx, name);
    const failed = status.state === "failed" || status.state === "canceled";
    return { abnormal: failed, message: copyWords(record, status) };
  }
  let info: SubvolumeInfo;
  try {
    info = await shelf.subvolumes.info(ctx, name);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "not-found") throw error;
    return { abnormal: true, message: "the volume's subvolume is missing from the file system" };
  }
  return conditionOf(info, record.capacityBytes, await healthChecks(shelf, ctx));
}

/** What an operator should know of a volume, the worst first. */
export function conditionOf(info: SubvolumeInfo, capacityBytes: bigint, checks: readonly string[]): Condition {
  const abnormal = (message: string) => ({ abnormal: true, message });
  if (info.state !== undefined && info.state !== "complete") return abnormal(`the subvolume is ${info.state}`);
  if (info.bytes_quota !== Number(capacityBytes))
    return abnormal(`the subvolume's quota is ${info.bytes_quota}, the volume's size ${capacityBytes} bytes`);
  const used = info.bytes_used ?? 0;
  if (used >= FULL_SHARE * Number(capacityBytes))
    return abnormal(`${used} of ${capacityBytes} bytes are used: writes fail when the quota is reached`);
  const [worst] = checks;
  return worst === undefined ? { abnormal: false, message: "healthy" } : abnormal(worst);
}

async function healthChecks(shelf: Shelf, ctx: Context): Promise<string[]> {
  const { health } = Status.parse(JSON.parse(await shelf.ceph(ctx, ["status"])));
  return Object.entries(health.checks)
    .filter(([name]) => OF_VOLUMES.test(name) && !TOO_MINOR.has(name))
    .map(([name, { summary }]) => `Ceph: ${summary.message} (${name})`);
}

/** Of the class's data pool: what Ceph says can still be stored in it, within its quota. */
export async function poolCapacity(
  shelf: Shelf,
  ctx: Context,
  parameters: Readonly<Record<string, string>>,
): Promise<Capacity> {
  const { dataPools } = await shelf.facts(ctx);
  const pool = parameters.dataPool || dataPools[0];
  const { pools } = Usage.parse(JSON.parse(await shelf.ceph(ctx, ["df", "detail"])));
  const found = pools.find(({ name }) => name === pool);
  if (!found) throw new StorageError("failed-precondition", `parameters[dataPool]: there is no pool ${pool}`);
  const { stored, max_avail: free, quota_bytes: quota = 0 } = found.stats;
  const left = quota > 0 ? Math.min(free, Math.max(0, quota - stored)) : free;
  const availableBytes = BigInt(Math.floor(left));
  return {
    availableBytes,
    minimumVolumeBytes: MIN_VOLUME_BYTES,
    maximumVolumeBytes: availableBytes < MAX_VOLUME_BYTES ? availableBytes : MAX_VOLUME_BYTES,
  };
}

/** @throws StorageError failed-precondition when volumes cannot be served, unavailable when the cluster is not reached */
export async function probeFilesystem(shelf: Shelf, ctx: Context): Promise<void> {
  const away = await notServing(shelf, ctx);
  if (away !== null) throw new StorageError("failed-precondition", away);
}
