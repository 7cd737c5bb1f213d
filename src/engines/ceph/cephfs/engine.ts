import { invalid, StorageError } from "../../../errors/storage-error.js";
import type { Publication, Snapshot, SnapshotGroup, Volume, VolumeKind, VolumeSpec } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Capacity, Condition, Context, Extent, VolumeEngine } from "../../types.js";
import { createVolume } from "./create-volume.js";
import { deleteVolume, endLeftovers } from "./delete-volume.js";
import { MAX_VOLUME_BYTES, MIN_VOLUME_BYTES, poolCapacity, probeFilesystem, volumeCondition } from "./health.js";
import { hashOf, keyOf, subvolumeName } from "./names.js";
import { publishVolume, unpublishVolume } from "./publish-volume.js";
import { snapshotOf, volumeOf } from "./record.js";
import { findSnapshot, findVolume, readyVolume, type Shelf, volumeHash, volumeKey } from "./shelf.js";
import { createSnapshot, deleteSnapshot, endSnapshotDeletions } from "./snapshots.js";

export const MOUNTERS = ["kernel", "fuse"];
const POOL_NAME = /^[A-Za-z0-9._-]{1,128}$/;

const noExtents = () =>
  new StorageError(
    "failed-precondition",
    "a shared volume on CephFS is no block device: there are no allocated or changed blocks to tell of",
  );

/** Shared volumes in the subvolumes of one CephFS; see index.ts. */
export class CephfsVolumeEngine implements VolumeEngine {
  readonly title: string;
  /** The quota is the size, and Ceph's clients see it change. */
  readonly expandsOnNode = false;
  readonly largestVolumeBytes = MAX_VOLUME_BYTES;
  readonly parameterKeys: readonly string[] = ["cluster", "dataPool", "mounter"];
  readonly mutableKeys: readonly string[] = [];

  constructor(
    private readonly shelf: Shelf,
    private readonly release: () => Promise<void>,
  ) {
    this.title = `ceph cluster ${shelf.config.name} (CephFS)`;
  }

  checkParameters(parameters: Readonly<Record<string, string>>, kind: VolumeKind): void {
    if (kind !== "shared") throw invalid(`parameters[kind]: ${kind} volumes are not of CephFS; use shared`);
    const { dataPool, mounter } = parameters;
    if (dataPool !== undefined && !POOL_NAME.test(dataPool))
      throw invalid("parameters[dataPool] must be the name of a data pool of the file system");
    if (mounter !== undefined && !MOUNTERS.includes(mounter))
      throw invalid(`parameters[mounter]: ${JSON.stringify(mounter)} is not one of ${MOUNTERS.join(", ")}`);
  }

  checkMutable(mutable: Readonly<Record<string, string>>, _kind: VolumeKind): void {
    const [key] = Object.keys(mutable);
    if (key !== undefined)
      throw invalid(`mutable_parameters: ${JSON.stringify(key)}: nothing of a CephFS volume can be modified`);
  }

  async nodeIds(_ctx: Context): Promise<null> {
    return null;
  }

  async create(ctx: Context, spec: VolumeSpec): Promise<Volume> {
    if (spec.kind !== "shared") throw invalid("CephFS stores shared volumes alone");
    if (spec.provisioning === "thick")
      throw invalid("parameters[provisioning]: CephFS cannot reserve space: only thin is possible");
    if (spec.capacityBytes < MIN_VOLUME_BYTES)
      throw new StorageError("out-of-range", `capacity_range: at least ${MIN_VOLUME_BYTES} bytes on CephFS`);
    const { dataPool } = spec.parameters;
    const { dataPools } = await this.shelf.facts(ctx);
    if (dataPool !== undefined && !dataPools.includes(dataPool))
      throw invalid(`parameters[dataPool]: ${dataPool} is not one of the file system's: ${dataPools.join(", ")}`);
    return createVolume(this.shelf, ctx, spec);
  }

  /** One that is still being copied is found too: it has a condition, and can be deleted. */
  async get(ctx: Context, id: string): Promise<Volume | undefined> {
    // An id of another engine is known without the cluster.
    if (!id.startsWith(`g1-f-v-${this.shelf.config.name}.`)) return undefined;
    const { place } = await this.shelf.facts(ctx);
    const found = await findVolume(this.shelf, ctx, id);
    return found && found.record.state !== "deleting" ? volumeOf(found.record, place, found.hash) : undefined;
  }

  async findByName(ctx: Context, name: string): Promise<Volume | undefined> {
    const { place } = await this.shelf.facts(ctx);
    const hash = hashOf(name);
    const record = await this.shelf.volumes.get(ctx, hash);
    return record?.state === "ready" ? volumeOf(record, place, hash) : undefined;
  }

  async list(ctx: Context, afterId: string, limit: number): Promise<Volume[]> {
    const { place } = await this.shelf.facts(ctx);
    const after = keyOf(afterId, "v", place)?.hash ?? "";
    const records = await this.shelf.volumes.list(ctx, after);
    const volumes = records
      .filter(([, { state }]) => state === "ready")
      .map(([hash, record]) => volumeOf(record, place, hash))
      .filter(({ id }) => id > afterId);
    return limit === 0 ? volumes : volumes.slice(0, limit);
  }

  delete = (ctx: Context, id: string): Promise<void> => deleteVolume(this.shelf, ctx, id);

  async expand(ctx: Context, id: string, capacityBytes: bigint): Promise<Volume> {
    const { place } = await this.shelf.facts(ctx);
    const hash = volumeHash(id, place);
    return this.shelf.lock.run(ctx, [volumeKey(this.shelf, hash)], `ControllerExpandVolume ${id}`, async (held) => {
      const { record } = await readyVolume(this.shelf, held, id);
      if (capacityBytes <= record.capacityBytes) return volumeOf(record, place, hash);
      // A crash between the two leaves a larger quota, which the repeated call sets again.
      await this.shelf.subvolumes.grow(held, subvolumeName(hash, record.token), capacityBytes);
      step("cephfs-expand/grown");
      const grown = { ...record, capacityBytes };
      await this.shelf.volumes.put(held, hash, grown);
      step("cephfs-expand/recorded");
      return volumeOf(grown, place, hash);
    });
  }

  async modify(ctx: Context, id: string, mutableParameters: Record<string, string>): Promise<Volume> {
    this.checkMutable(mutableParameters, "shared");
    const { place } = await this.shelf.facts(ctx);
    const { hash, record } = await readyVolume(this.shelf, ctx, id);
    return volumeOf(record, place, hash);
  }

  publish = (ctx: Context, id: string, publication: Publication): Promise<Record<string, string>> =>
    publishVolume(this.shelf, ctx, id, publication);

  unpublish = (ctx: Context, id: string, nodeId: string): Promise<void> => unpublishVolume(this.shelf, ctx, id, nodeId);

  createSnapshot = (ctx: Context, name: string, volumeId: string): Promise<Snapshot> =>
    createSnapshot(this.shelf, ctx, name, volumeId);

  async getSnapshot(ctx: Context, id: string): Promise<Snapshot | undefined> {
    if (!id.startsWith(`g1-f-s-${this.shelf.config.name}.`)) return undefined;
    const { place } = await this.shelf.facts(ctx);
    const found = await findSnapshot(this.shelf, ctx, id);
    return found?.record.state === "ready" ? snapshotOf(found.record, place, found.hash) : undefined;
  }

  async findSnapshotByName(ctx: Context, name: string): Promise<Snapshot | undefined> {
    const { place } = await this.shelf.facts(ctx);
    const hash = hashOf(name);
    const record = await this.shelf.snapshots.get(ctx, hash);
    return record?.state === "ready" ? snapshotOf(record, place, hash) : undefined;
  }

  async listSnapshots(ctx: Context): Promise<Snapshot[]> {
    const { place } = await this.shelf.facts(ctx);
    const records = await this.shelf.snapshots.list(ctx);
    return records
      .filter(([, { state }]) => state === "ready")
      .map(([hash, record]) => snapshotOf(record, place, hash));
  }

  deleteSnapshot = (ctx: Context, id: string): Promise<void> => deleteSnapshot(this.shelf, ctx, id);

  /** Subvolumes are cut one by one while they are written to: what comes out is no one point in time. */
  async createGroup(_ctx: Context, _name: string, _volumeIds: readonly string[]): Promise<SnapshotGroup> {
    throw new StorageError(
      "failed-precondition",
      "CephFS cannot snapshot several volumes at one point in time (before Ceph 19 it has no quiesce): snapshot them one by one",
    );
  }

  async getGroup(_ctx: Context, _id: string): Promise<undefined> {
    return undefined;
  }

  async findGroupByName(_ctx: Context, _name: string): Promise<undefined> {
    return undefined;
  }

  async deleteGroup(_ctx: Context, _id: string): Promise<void> {}

  async allocated(_ctx: Context, _snapshotId: string): Promise<Extent[]> {
    throw noExtents();
  }

  async changed(_ctx: Context, _baseId: string, _targetId: string): Promise<Extent[]> {
    throw noExtents();
  }

  capacity = (ctx: Context, parameters: Readonly<Record<string, string>>): Promise<Capacity> =>
    poolCapacity(this.shelf, ctx, parameters);

  condition = (ctx: Context, id: string): Promise<Condition> => volumeCondition(this.shelf, ctx, id);

  probe = (ctx: Context): Promise<void> => probeFilesystem(this.shelf, ctx);

  close = (): Promise<void> => this.release();

  /** Ends what a controller which died had begun, where nobody may ask for it again. */
  async recover(ctx: Context): Promise<void> {
    await endLeftovers(this.shelf, ctx);
    await endSnapshotDeletions(this.shelf, ctx);
  }
}
