import { z } from "zod";
import { StorageError } from "../../../errors/storage-error.js";
import type { CephCluster, CephContext } from "../cluster.js";
import { Fresh } from "./fresh.js";
import { type Images, isCode, type Place, unlessMissing } from "./images.js";
import { hashOf, namespaceHash, REGISTRY_IMAGE } from "./names.js";

const PoolsAnswer = z.array(z.object({ poolnum: z.number(), poolname: z.string() }));
const PLACE_KEY = "granary.place.";
const NODE_KEY = "granary.node.";
const nodesIn = (registry: Record<string, string>): string[] =>
  Object.entries(registry)
    .filter(([key]) => key.startsWith(NODE_KEY))
    .map(([, nodeId]) => nodeId)
    .sort();

function isNode(registry: Record<string, string>, nodeId: string): boolean {
  const nodes = nodesIn(registry);
  return nodes.length === 0 || nodes.includes(nodeId);
}

/** How old what one controller knows of the registry may be: another may have added to it. */
const REGISTRY_MS = 5_000;

/**
 * The pools and namespaces that volumes are in: the config's, and those that StorageClasses named, which the registry, an
 * image of size 0 in the first pool, keeps for all controllers. It keeps the nodes too.
 */
export class Places {
  readonly #pools: Fresh<Map<string, number>>;
  readonly #registry: Fresh<Record<string, string>>;

  constructor(
    private readonly cluster: CephCluster,
    private readonly images: Images,
  ) {
    this.#pools = new Fresh(Number.POSITIVE_INFINITY, async (ctx) => {
      const answer = await cluster.json(ctx, "ceph", ["osd", "lspools"]);
      return new Map(PoolsAnswer.parse(answer).map(({ poolnum, poolname }) => [poolname, poolnum]));
    });
    this.#registry = new Fresh(REGISTRY_MS, async (ctx) => {
      const home = await this.home(ctx);
      return (await unlessMissing(images.metadata(ctx, home, REGISTRY_IMAGE))) ?? {};
    });
  }

  /** Where the locks and records are that are of no volume: the config's first pool. */
  async home(ctx: CephContext): Promise<Place> {
    return this.of(ctx, this.defaultPool(), this.cluster.config.namespace);
  }

  defaultPool(): string {
    const [pool] = this.cluster.config.pools;
    if (pool !== undefined) return pool;
    throw new StorageError(
      "failed-precondition",
      `config: clusters.${this.cluster.name}.pools is empty: block volumes need a pool`,
    );
  }

  /** @throws StorageError failed-precondition when the cluster has no such pool */
  async of(ctx: CephContext, pool: string, namespace: string): Promise<Place> {
    let number = (await this.#pools.get(ctx)).get(pool);
    if (number === undefined) number = (await this.#pools.renew(ctx)).get(pool);
    if (number === undefined)
      throw new StorageError("failed-precondition", `Ceph cluster ${this.cluster.name} has no pool ${pool}`);
    const suffix = namespace === "" ? "" : `.${namespaceHash(namespace)}`;
    return { id: `${this.cluster.name}.${number}${suffix}`, pool, namespace };
  }

  /** Every place that volumes may be in, in the order of their ids. */
  async all(ctx: CephContext): Promise<Place[]> {
    return this.#known(ctx, await this.#registry.get(ctx));
  }

  /** The place that an id names; undefined for another cluster's, or one that is not known. */
  async byId(ctx: CephContext, id: string): Promise<Place | undefined> {
    if (id.split(".")[0] !== this.cluster.name) return undefined;
    const found = (await this.all(ctx)).find((place) => place.id === id);
    return found ?? (await this.#known(ctx, await this.#registry.renew(ctx))).find((place) => place.id === id);
  }

  /** Makes a namespace that the config does not name known to every controller. */
  async remember(ctx: CephContext, place: Place): Promise<void> {
    if ((await this.all(ctx)).some(({ id }) => id === place.id)) return;
    await this.#write(ctx, `${PLACE_KEY}${place.id}`, JSON.stringify([place.pool, place.namespace]));
  }

  /** A node says that it can reach the cluster; again is fine. */
  async registerNode(ctx: CephContext, nodeId: string): Promise<void> {
    const key = `${NODE_KEY}${hashOf(nodeId)}`;
    if ((await this.#registry.get(ctx))[key] === nodeId) return;
    await this.#write(ctx, key, nodeId);
  }

  /** @throws StorageError not-found for a node that has not said so, where others have */
  async requireNode(ctx: CephContext, nodeId: string): Promise<void> {
    if (isNode(await this.#registry.get(ctx), nodeId)) return;
    const registry = await this.#registry.renew(ctx);
    if (isNode(registry, nodeId)) return;
    throw new StorageError(
      "not-found",
      `node ${nodeId} is not known on Ceph cluster ${this.cluster.name}; known are ${nodesIn(registry).join(", ")}`,
    );
  }

  async #known(ctx: CephContext, registry: Record<string, string>): Promise<Place[]> {
    const { pools, namespace } = this.cluster.config;
    const remembered = Object.entries(registry)
      .filter(([key]) => key.startsWith(PLACE_KEY))
      .map(([, value]) => JSON.parse(value) as [string, string]);
    const pairs: [string, string][] = [...pools.map((pool): [string, string] => [pool, namespace]), ...remembered];
    const places = await Promise.all(pairs.map(([pool, ns]) => this.of(ctx, pool, ns)));
    return [...new Map(places.map((place) => [place.id, place])).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #write(ctx: CephContext, key: string, value: string): Promise<void> {
    const home = await this.home(ctx);
    await this.images.create(ctx, home, REGISTRY_IMAGE, 0n).catch((error: unknown) => {
      if (!isCode(error, "already-exists")) throw error;
    });
    await this.images.setMetadata(ctx, home, REGISTRY_IMAGE, key, value);
    this.#registry.forget();
  }
}
