/**
 * The volume engine on RBD. All truth is in Ceph, in images and their metadata, so that any number of controllers work on
 * one cluster, and one that dies leaves nothing of its own. Who changes a volume holds a lock of its name that ends by
 * itself (cluster-lock.ts), and looks at what is there once it has it. Crash model, by the steps of src/runtime/steps.ts:
 *
 * - create: image by its name, prepared, record. A volume exists from its record on. An image without one is removed by the
 *   next create of that name, or by the sweep; so are the snapshots that a copy of a volume was made through.
 * - delete: record says deleted, image leaves its name, Ceph's manager removes it. A repeated delete goes on, and so does a
 *   create of the name, or the sweep.
 * - snapshot: claim of its name, cut, record. A claim without a record is taken over by the next create of that name, and
 *   a cut of before is made anew. Groups: the same of all members, the group's record last.
 * - delete of a snapshot: record says deleting, cut removed, claim removed. It is seen, as not ready, until the last.
 * - expand: image, record: the record is what people are told, and is never larger than the image.
 * - publish, unpublish, modify: one write; of unpublish, after the fencing, which again is fine.
 *
 * A call that fails without a crash undoes what came before it.
 */
import type { Logger } from "pino";
import type { ClusterConfig } from "../../../config/clusters.js";
import { messageOf, StorageError } from "../../../errors/storage-error.js";
import type { Publication, Volume, VolumeSpec } from "../../../model/volume.js";
import type { Exec } from "../../../os/exec.js";
import { every } from "../../../runtime/every.js";
import type { Capacity, Condition, Context, VolumeEngine } from "../../types.js";
import { CephCluster } from "../cluster.js";
import { checkLimits, expandVolume, modifyVolume } from "./change.js";
import { ClusterLock } from "./cluster-lock.js";
import { ClusterState, conditionOf, LARGEST_BYTES } from "./condition.js";
import { createVolume } from "./create.js";
import { createGroup, deleteGroup, findGroup, findGroupByName } from "./groups.js";
import { Images } from "./images.js";
import { findSnapshotByName, findVolumeByName, listSnapshots, listVolumes } from "./listing.js";
import { parseRef } from "./names.js";
import { MUTABLE_KEYS, PARAMETER_KEYS, parseClass } from "./parameters.js";
import { Places } from "./places.js";
import { publishVolume, unpublishVolume } from "./publish.js";
import { groupOf, snapshotOf } from "./records.js";
import { deleteVolume } from "./removal.js";
import { createSnapshot, deleteSnapshot, extentsOf, findSnapshot } from "./snapshots.js";
import { sweep } from "./sweep.js";
import { Tasks } from "./tasks.js";
import { asVolume, findByRef, type RbdWorld } from "./world.js";

export interface RbdOptions {
  /** How long a lock outlives a controller that died with it. */
  lockSeconds?: number;
  /** How often what dead controllers left is looked for; 0: never. */
  sweepMs?: number;
}

const LOCK_SECONDS = 30;
const SWEEP_MS = 5 * 60_000;
const SWEEP_LIMIT_MS = 4 * 60_000;

export class RbdVolumeEngine implements VolumeEngine {
  readonly title: string;
  readonly expandsOnNode = true;
  readonly largestVolumeBytes = LARGEST_BYTES;
  readonly parameterKeys = PARAMETER_KEYS;
  readonly mutableKeys = MUTABLE_KEYS;
  readonly #world: RbdWorld;
  readonly #state: ClusterState;
  readonly #stopSweeping: () => Promise<void>;

  constructor(cluster: CephCluster, log: Logger, options: RbdOptions = {}) {
    const { lockSeconds = LOCK_SECONDS, sweepMs = SWEEP_MS } = options;
    this.title = `Ceph cluster ${cluster.name} (RBD)`;
    const images = new Images(cluster);
    this.#world = {
      ...{ cluster, images, log },
      places: new Places(cluster, images),
      lock: new ClusterLock(cluster, lockSeconds),
      tasks: new Tasks(cluster),
    };
    this.#state = new ClusterState(cluster);
    const limited = (signal: AbortSignal) => AbortSignal.any([signal, AbortSignal.timeout(SWEEP_LIMIT_MS)]);
    this.#stopSweeping =
      sweepMs === 0
        ? async () => {}
        : every(sweepMs, (signal) =>
            this.sweep({ signal: limited(signal), requestId: "sweep", log }).catch((error: unknown) => {
              log.warn({ cluster: cluster.name, error: messageOf(error) }, "a sweep did not come to its end");
            }),
          );
  }

  checkParameters(parameters: Readonly<Record<string, string>>): void {
    parseClass(parameters, this.#world.cluster.config);
  }

  checkMutable(mutable: Readonly<Record<string, string>>): void {
    checkLimits(mutable);
  }

  /** Any: a volume is not bound to the nodes that are known when it is made. */
  nodeIds = async () => null;
  /** A node says that it can reach the cluster: from the first on, volumes are published to those alone. Again is fine. */
  registerNode = (ctx: Context, nodeId: string) => this.#world.places.registerNode(ctx, nodeId);

  create = (ctx: Context, spec: VolumeSpec): Promise<Volume> => createVolume(this.#world, ctx, spec);

  async get(ctx: Context, id: string): Promise<Volume | undefined> {
    const ref = parseRef(id, "v");
    const found = ref && (await findByRef(this.#world, ctx, ref));
    return found?.record.state === "ready" ? asVolume(found) : undefined;
  }

  async findByName(ctx: Context, name: string): Promise<Volume | undefined> {
    const found = await findVolumeByName(this.#world, ctx, name);
    return found && asVolume(found);
  }

  async list(ctx: Context, afterId: string, limit: number): Promise<Volume[]> {
    return (await listVolumes(this.#world, ctx, afterId, limit)).map(asVolume);
  }

  delete = (ctx: Context, id: string): Promise<void> => deleteVolume(this.#world, ctx, id);
  expand = (ctx: Context, id: string, capacityBytes: bigint) => expandVolume(this.#world, ctx, id, capacityBytes);
  modify = (ctx: Context, id: string, mutable: Record<string, string>) => modifyVolume(this.#world, ctx, id, mutable);
  publish = (ctx: Context, id: string, publication: Publication) => publishVolume(this.#world, ctx, id, publication);

  async unpublish(ctx: Context, id: string, nodeId: string): Promise<void> {
    await unpublishVolume(this.#world, ctx, id, nodeId);
  }

  createSnapshot = (ctx: Context, name: string, volumeId: string) => createSnapshot(this.#world, ctx, name, volumeId);

  async getSnapshot(ctx: Context, id: string) {
    const found = await findSnapshot(this.#world, ctx, id);
    return found && snapshotOf(found.ref, found.record);
  }

  async findSnapshotByName(ctx: Context, name: string) {
    const found = await findSnapshotByName(this.#world, ctx, name);
    return found && snapshotOf(found.ref, found.record);
  }

  async listSnapshots(ctx: Context) {
    return (await listSnapshots(this.#world, ctx)).map(({ ref, record }) => snapshotOf(ref, record));
  }

  deleteSnapshot = (ctx: Context, id: string) => deleteSnapshot(this.#world, ctx, id);
  createGroup = (ctx: Context, name: string, volumeIds: readonly string[]) =>
    createGroup(this.#world, ctx, name, volumeIds);

  async getGroup(ctx: Context, id: string) {
    const found = await findGroup(this.#world, ctx, id);
    return found && groupOf(found.ref, found.record);
  }

  async findGroupByName(ctx: Context, name: string) {
    const found = await findGroupByName(this.#world, ctx, name);
    return found?.record.state === "ready" ? groupOf(found.ref, found.record) : undefined;
  }

  deleteGroup = (ctx: Context, id: string) => deleteGroup(this.#world, ctx, id);
  allocated = (ctx: Context, snapshotId: string) => extentsOf(this.#world, ctx, undefined, snapshotId);
  changed = (ctx: Context, baseId: string, targetId: string) => extentsOf(this.#world, ctx, baseId, targetId);

  capacity(ctx: Context, parameters: Readonly<Record<string, string>>): Promise<Capacity> {
    return this.#state.capacity(ctx, parseClass(parameters, this.#world.cluster.config).dataPool);
  }

  condition = (ctx: Context, id: string): Promise<Condition> => conditionOf(this.#world, this.#state, ctx, id);

  async probe(ctx: Context): Promise<void> {
    await this.#state.health(ctx).catch((error: unknown) => {
      throw new StorageError("failed-precondition", messageOf(error), { cause: error });
    });
  }

  /**
   * A node is gone: every volume that is published to it is taken from it, fenced first where it is still attached.
   *
   * @returns the volumes, with the addresses of clients that were blocklisted
   */
  async fenceNode(ctx: Context, nodeId: string): Promise<{ volume: Volume; fenced: string[] }[]> {
    const published = (await this.list(ctx, "", 0)).filter((volume) =>
      volume.publications.some((publication) => publication.nodeId === nodeId),
    );
    const taken = [];
    for (const { id } of published) taken.push(await unpublishVolume(this.#world, ctx, id, nodeId));
    return taken;
  }

  /** Takes up what dead controllers left. */
  sweep = (ctx: Context): Promise<void> => sweep(this.#world, ctx);

  /** Settles when nothing of what was asked is still under way: locks given back, work handed to the manager. */
  idle = (): Promise<void> => this.#world.lock.idle();

  async close(): Promise<void> {
    await this.#stopSweeping();
    await this.idle();
    await this.#world.cluster.close();
  }
}

/** A node says that it can reach the cluster: where a controller is not in the same process. */
export function registerRbdNode(ctx: Context, cluster: CephCluster, nodeId: string): Promise<void> {
  return new Places(cluster, new Images(cluster)).registerNode(ctx, nodeId);
}

/** Opens the engine of one cluster. It need not answer yet: calls are unavailable until it does. */
export async function openRbdEngine(
  config: ClusterConfig,
  exec: Exec,
  log: Logger,
  stateDir: string,
  options: RbdOptions = {},
): Promise<RbdVolumeEngine> {
  return new RbdVolumeEngine(new CephCluster(config, exec, stateDir), log, options);
}
