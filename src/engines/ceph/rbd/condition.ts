import { z } from "zod";
import type { Capacity, Condition, Context } from "../../types.js";
import type { CephCluster, CephContext } from "../cluster.js";
import { Fresh } from "./fresh.js";
import type { Place } from "./images.js";
import { clientsIn } from "./records.js";
import { type RbdWorld, requireReady } from "./world.js";

const HealthAnswer = z.object({
  status: z.string(),
  checks: z.record(
    z.string(),
    z.object({
      severity: z.string(),
      summary: z.object({ message: z.string() }),
      detail: z.array(z.object({ message: z.string() })).default([]),
    }),
  ),
});
const UsageAnswer = z.object({
  pools: z.array(
    z.object({
      name: z.string(),
      stats: z.object({ stored: z.number(), max_avail: z.number(), quota_bytes: z.number().default(0) }),
    }),
  ),
});
type Health = z.infer<typeof HealthAnswer>;

/** Of what is asked for each volume of a page, the cluster is asked once. */
const HEALTH_MS = 5_000;
/** A thin volume may be larger than what is free, but not beyond all measure: a mistyped size is found out. */
const MOST_OVERCOMMIT = 10n;
export const LARGEST_BYTES = 256n * 1024n ** 4n;
const SMALLEST_BYTES = 1024n * 1024n;

/** Checks of `ceph health` that say what they are about by `pool 'NAME'`, and by `pg NUMBER.HEX`. */
const OF_POOL = /^POOL_|^PG_/;
/** These concern every pool. */
const OF_ALL = /^(?:MON_|MGR_DOWN|OSD_FULL|OSD_NEARFULL|OSD_BACKFILLFULL|OSD_DOWN$|SLOW_OPS)/;

export class ClusterState {
  readonly #health: Fresh<Health>;
  readonly #usage: Fresh<z.infer<typeof UsageAnswer>>;

  constructor(cluster: CephCluster) {
    this.#health = new Fresh(HEALTH_MS, async (ctx) =>
      HealthAnswer.parse(await cluster.json(ctx, "ceph", ["health", "detail"])),
    );
    this.#usage = new Fresh(HEALTH_MS, async (ctx) =>
      UsageAnswer.parse(await cluster.json(ctx, "ceph", ["df", "detail"])),
    );
  }

  health = (ctx: CephContext): Promise<Health> => this.#health.get(ctx);

  /** What Ceph has to say of a pool, worst first; none when all is well. */
  async troubles(ctx: CephContext, place: Place): Promise<string[]> {
    const { checks } = await this.health(ctx);
    const pool = Number(place.id.split(".")[1]);
    const found = Object.entries(checks).filter(([name, { summary, detail }]) => {
      if (OF_ALL.test(name)) return true;
      const texts = [summary, ...detail].map(({ message }) => message);
      return OF_POOL.test(name) && texts.some((text) => mentions(text, place.pool, pool));
    });
    found.sort(([, a], [, b]) => Number(b.severity === "HEALTH_ERR") - Number(a.severity === "HEALTH_ERR"));
    return found.map(([name, { summary }]) => `${name}: ${summary.message}`);
  }

  /** Of a pool: free for data, after replication, and within its quota. */
  async capacity(ctx: CephContext, pool: string): Promise<Capacity> {
    const stats = (await this.#usage.get(ctx)).pools.find(({ name }) => name === pool)?.stats;
    if (!stats) return { availableBytes: 0n, minimumVolumeBytes: SMALLEST_BYTES, maximumVolumeBytes: 0n };
    const inQuota = stats.quota_bytes === 0 ? stats.max_avail : Math.max(0, stats.quota_bytes - stats.stored);
    const availableBytes = BigInt(Math.floor(Math.min(stats.max_avail, inQuota)));
    const most = (availableBytes + BigInt(Math.floor(stats.stored))) * MOST_OVERCOMMIT;
    return {
      availableBytes,
      minimumVolumeBytes: SMALLEST_BYTES,
      maximumVolumeBytes: availableBytes === 0n ? 0n : most < LARGEST_BYTES ? most : LARGEST_BYTES,
    };
  }
}

function mentions(text: string, name: string, number: number): boolean {
  return new RegExp(`\\bpg ${number}\\.[0-9a-f]+\\b`).test(text) || text.includes(`'${name}'`);
}

/** How a volume is: its pool's troubles make it abnormal, and so does an attachment that nothing explains. */
export async function conditionOf(world: RbdWorld, state: ClusterState, ctx: Context, id: string): Promise<Condition> {
  const { record, place, image, metadata } = await requireReady(world, ctx, id);
  const [troubles, flatten, clients] = await Promise.all([
    state.troubles(ctx, place),
    record.depth === 0 ? undefined : world.tasks.find(ctx, "flatten", place, image),
    record.publications.length > 0 ? [] : world.images.clients(ctx, place, image),
  ]);
  const stray = clients.filter(({ lockId }) => lockId !== undefined);
  const abnormal = [
    ...troubles,
    ...(stray.length === 0 || flatten ? [] : [`attached by ${stray[0]?.address}, which no publication explains`]),
    ...(flatten && flatten.trouble !== "" ? [`making the copy independent fails: ${flatten.trouble}`] : []),
  ];
  const told = [
    ...(flatten ? [`copied in the background, ${Math.floor(flatten.progress * 100)} % done`] : []),
    ...clientsIn(metadata).map(({ nodeId, mapper }) => `attached on ${nodeId} by ${mapper}`),
  ];
  const message = [...abnormal, ...told].join("; ");
  return { abnormal: abnormal.length > 0, message: message === "" ? "healthy" : message };
}
