/**
 * The local volume engine. Crash model, step by step:
 *
 * - create: intent, image, record + end of intent. A crash before the record leaves nothing: recovery removes the image.
 * - delete: record gone + intent, image, end of intent. A crash after the first commit is finished by recovery.
 * - expand: intent, truncate, record + end of intent. Recovery repeats the truncate and writes the record.
 * - snapshot, group: intent, freeze, copy, thaw, records + end of intent. Recovery thaws and removes the copies.
 * - publish, unpublish, modify: one commit.
 */
import * as fs from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { StorageError } from "../../errors/storage-error.js";
import type { Publication, Snapshot, SnapshotGroup, Volume, VolumeSpec } from "../../model/volume.js";
import { newId } from "../../model/volume-id.js";
import type { Exec } from "../../os/exec.js";
import { fileExtents } from "../../os/filefrag.js";
import { imageUsers } from "../../os/image-users.js";
import type { Capacity, Condition, Context, Extent, VolumeEngine } from "../types.js";
import { whileFrozen } from "./cut.js";
import { allocatedExtents, changedExtents } from "./extents.js";
import { cloneImage, makeImage, removeImage, resizeImage } from "./image.js";
import {
  assertWritable,
  imageIn,
  openPool,
  type Pool,
  type PoolSpace,
  poolSpace,
  snapshotDir,
  volumeDir,
} from "./pool.js";
import { recover } from "./recover.js";
import { Registry } from "./registry.js";

export interface LocalOptions {
  poolDir: string;
  registryDir: string;
  /** Committed bytes may be this many times the pool's size. */
  overcommit: number;
  /** Below this share of free space (0 to 1) volumes are abnormal and Probe fails, before writes do. */
  lowSpaceRatio: number;
  exec: Exec;
  log: Logger;
}

const MIN_VOLUME_BYTES = 1024n * 1024n;
// An ext4 pool's largest file is 16 TiB less a block.
const MAX_VOLUME_BYTES = 16n * 1024n ** 4n - 4096n;

export interface PoolStatus extends PoolSpace {
  dir: string;
  reflink: boolean;
  committedBytes: bigint;
  allocatedBytes: bigint;
  overcommit: number;
  volumes: number;
  snapshots: number;
}

export class LocalVolumeEngine implements VolumeEngine {
  private constructor(
    readonly pool: Pool,
    private readonly registry: Registry,
    private readonly options: LocalOptions,
  ) {}

  /** Opens pool and registry and finishes what a crash interrupted. */
  static async open(options: LocalOptions): Promise<LocalVolumeEngine> {
    const pool = await openPool(options.poolDir);
    await fs.mkdir(options.registryDir, { recursive: true, mode: 0o700 });
    const registry = new Registry(options.registryDir);
    await recover(registry, pool, options.exec, options.log);
    return new LocalVolumeEngine(pool, registry, options);
  }

  async create(ctx: Context, spec: VolumeSpec): Promise<Volume> {
    await this.#assertRoom(spec.capacityBytes, spec.provisioning === "thick");
    const id = newId("v");
    const dir = volumeDir(this.pool, id);
    const from = this.#sourceDir(spec);
    const volume: Volume = { ...spec, id, createdMs: Date.now(), publications: [] };
    const thick = spec.provisioning === "thick";
    await this.#step(
      { op: "create-volume", volumeId: id },
      () => removeImage(dir),
      async (intentId) => {
        if (!from) await makeImage(ctx, this.options.exec, dir, spec.capacityBytes, thick);
        else {
          const cut = () => cloneImage(ctx, this.options.exec, this.pool, from, dir);
          if (spec.source?.type === "volume") await whileFrozen(ctx, this.options.exec, [imageIn(from)], cut);
          else await cut();
          await resizeImage(ctx, this.options.exec, dir, spec.capacityBytes, thick);
        }
        await this.registry.putVolume(volume, intentId);
      },
    );
    return volume;
  }

  get = (id: string) => this.registry.volume(id);
  findByName = (name: string) => this.registry.volumeNamed(name);
  list = (afterId: string, limit: number) => this.registry.volumes(afterId, limit);
  getSnapshot = (id: string) => this.registry.snapshot(id);
  findSnapshotByName = (name: string) => this.registry.snapshotNamed(name);
  listSnapshots = () => this.registry.snapshots();
  getGroup = (id: string) => this.registry.group(id);
  findGroupByName = (name: string) => this.registry.groupNamed(name);

  async delete(_ctx: Context, id: string): Promise<void> {
    const volume = this.#volume(id);
    const inUse = await imageUsers(imageIn(volumeDir(this.pool, id)));
    if (inUse[0])
      throw new StorageError(
        "failed-precondition",
        `volume ${id} is still attached on this host as ${inUse[0].device}`,
      );
    const intentId = await this.registry.beginDeleteVolume(volume);
    await removeImage(volumeDir(this.pool, id));
    await this.registry.end(intentId);
  }

  async expand(ctx: Context, id: string, capacityBytes: bigint): Promise<Volume> {
    const volume = this.#volume(id);
    if (capacityBytes <= volume.capacityBytes) return volume;
    const thick = volume.provisioning === "thick";
    await this.#assertRoom(capacityBytes - volume.capacityBytes, thick);
    const intentId = await this.registry.begin({ op: "expand-volume", volumeId: id, capacityBytes });
    try {
      await fs.access(imageIn(volumeDir(this.pool, id)));
      await resizeImage(ctx, this.options.exec, volumeDir(this.pool, id), capacityBytes, thick);
    } catch (error) {
      // The image may have grown already; that is harmless, and the volume keeps its recorded size until a retry.
      await this.registry.end(intentId);
      throw this.#missing(id, error);
    }
    const grown = { ...volume, capacityBytes };
    await this.registry.putVolume(grown, intentId);
    return grown;
  }

  async modify(_ctx: Context, id: string, mutableParameters: Record<string, string>): Promise<Volume> {
    const volume = this.#volume(id);
    const reclaim = mutableParameters.reclaimSpace;
    const changed = { ...volume, mutableParameters: { ...volume.mutableParameters, ...mutableParameters } };
    if (reclaim !== undefined) changed.parameters = { ...volume.parameters, reclaimSpace: reclaim };
    await this.registry.putVolume(changed);
    return changed;
  }

  async publish(_ctx: Context, id: string, publication: Publication): Promise<Record<string, string>> {
    const volume = this.#volume(id);
    const image = imageIn(volumeDir(this.pool, id));
    const stat = await fs.stat(image, { bigint: true }).catch((error: unknown) => {
      throw this.#missing(id, error);
    });
    if (!volume.publications.some((p) => p.nodeId === publication.nodeId)) {
      await this.registry.putVolume({ ...volume, publications: [...volume.publications, publication] });
    }
    return {
      image,
      sizeBytes: String(volume.capacityBytes),
      inode: `${stat.dev}:${stat.ino}`,
      readonly: String(publication.readonly),
    };
  }

  async unpublish(_ctx: Context, id: string, nodeId: string): Promise<void> {
    const volume = this.#volume(id);
    const publications = nodeId === "" ? [] : volume.publications.filter((p) => p.nodeId !== nodeId);
    if (publications.length !== volume.publications.length) await this.registry.putVolume({ ...volume, publications });
  }

  async createSnapshot(ctx: Context, name: string, volumeId: string): Promise<Snapshot> {
    const [snapshot] = await this.#cut(ctx, [volumeId], () => name, null);
    return snapshot as Snapshot;
  }

  async deleteSnapshot(_ctx: Context, id: string): Promise<void> {
    const snapshot = this.registry.snapshot(id);
    if (!snapshot) throw new StorageError("not-found", `snapshot ${id} does not exist`);
    await this.#dropSnapshots([snapshot], null);
  }

  async createGroup(ctx: Context, name: string, volumeIds: readonly string[]): Promise<SnapshotGroup> {
    const group: SnapshotGroup = {
      id: newId("g"),
      name,
      snapshotIds: volumeIds.map(() => newId("s")),
      sourceVolumeIds: volumeIds,
      createdMs: Date.now(),
    };
    await this.#cut(ctx, volumeIds, (volumeId) => `${name}/${volumeId}`, group);
    return group;
  }

  async deleteGroup(_ctx: Context, id: string): Promise<void> {
    const group = this.registry.group(id);
    if (!group) throw new StorageError("not-found", `group snapshot ${id} does not exist`);
    await this.#dropSnapshots(
      group.snapshotIds.flatMap((s) => this.registry.snapshot(s) ?? []),
      group,
    );
  }

  async allocated(ctx: Context, snapshotId: string): Promise<Extent[]> {
    const { sizeBytes, extents } = await this.#snapshotExtents(ctx, snapshotId);
    return allocatedExtents(extents, sizeBytes);
  }

  async changed(ctx: Context, baseId: string, targetId: string): Promise<Extent[]> {
    if (!this.pool.reflink)
      throw new StorageError("failed-precondition", "changed blocks need a pool with reflinks; see granary pool init");
    const base = await this.#snapshotExtents(ctx, baseId);
    const target = await this.#snapshotExtents(ctx, targetId);
    return changedExtents(base.extents, target.extents, target.sizeBytes);
  }

  async capacity(_ctx: Context): Promise<Capacity> {
    const { totalBytes, freeBytes } = await poolSpace(this.pool);
    const limit = BigInt(Math.floor(Number(totalBytes) * this.options.overcommit));
    const left = limit - this.#committedBytes();
    const availableBytes = freeBytes === 0n || left < 0n ? 0n : left;
    const largest = availableBytes < MAX_VOLUME_BYTES ? availableBytes : MAX_VOLUME_BYTES;
    return { availableBytes, minimumVolumeBytes: MIN_VOLUME_BYTES, maximumVolumeBytes: largest };
  }

  async condition(id: string): Promise<Condition> {
    const volume = this.#volume(id);
    const stat = await fs.stat(imageIn(volumeDir(this.pool, id)), { bigint: true }).catch(() => null);
    if (!stat) return { abnormal: true, message: "the volume's image is missing from the pool" };
    if (stat.size !== volume.capacityBytes) {
      return { abnormal: true, message: `the image has ${stat.size} bytes, the registry says ${volume.capacityBytes}` };
    }
    const low = await this.#lowSpace();
    return low === null ? { abnormal: false, message: "healthy" } : { abnormal: true, message: low };
  }

  async probe(_ctx: Context): Promise<void> {
    await assertWritable(this.pool);
    const low = await this.#lowSpace();
    if (low !== null) throw new StorageError("failed-precondition", low);
  }

  async status(): Promise<PoolStatus> {
    const space = await poolSpace(this.pool);
    const [volumes, snapshots] = [this.registry.volumes(), this.registry.snapshots()];
    const dirs = [
      ...volumes.map((v) => volumeDir(this.pool, v.id)),
      ...snapshots.map((s) => snapshotDir(this.pool, s.id)),
    ];
    const stats = await Promise.all(dirs.map((dir) => fs.stat(imageIn(dir), { bigint: true }).catch(() => null)));
    return {
      ...space,
      dir: this.pool.dir,
      reflink: this.pool.reflink,
      committedBytes: this.#committedBytes(),
      allocatedBytes: stats.reduce((sum, stat) => sum + (stat ? stat.blocks * 512n : 0n), 0n),
      overcommit: this.options.overcommit,
      volumes: volumes.length,
      snapshots: snapshots.length,
    };
  }

  close(): Promise<void> {
    return this.registry.close();
  }

  async #cut(
    ctx: Context,
    volumeIds: readonly string[],
    nameOf: (volumeId: string) => string,
    group: SnapshotGroup | null,
  ): Promise<Snapshot[]> {
    const volumes = volumeIds.map((id) => this.#volume(id));
    const snapshots = volumes.map(
      (volume, i): Snapshot => ({
        id: group?.snapshotIds[i] ?? newId("s"),
        name: nameOf(volume.id),
        sourceVolumeId: volume.id,
        sizeBytes: volume.capacityBytes,
        createdMs: group?.createdMs ?? Date.now(),
        readyToUse: true,
        groupId: group?.id ?? "",
        fsType: volume.fsType,
        kind: volume.kind,
      }),
    );
    const dirs = snapshots.map((s) => snapshotDir(this.pool, s.id));
    const undo = async () => {
      for (const dir of dirs) await removeImage(dir);
    };
    await this.#step(
      { op: "create-snapshots", snapshotIds: snapshots.map((s) => s.id), volumeIds },
      undo,
      async (intentId) => {
        await whileFrozen(
          ctx,
          this.options.exec,
          volumes.map((v) => imageIn(volumeDir(this.pool, v.id))),
          async () => {
            for (const [i, volume] of volumes.entries()) {
              await cloneImage(ctx, this.options.exec, this.pool, volumeDir(this.pool, volume.id), dirs[i] as string);
            }
          },
        );
        await this.registry.putSnapshots(snapshots, group, intentId);
      },
    );
    return snapshots;
  }

  async #dropSnapshots(snapshots: readonly Snapshot[], group: SnapshotGroup | null): Promise<void> {
    const intentId = await this.registry.beginDeleteSnapshots(snapshots, group);
    for (const snapshot of snapshots) await removeImage(snapshotDir(this.pool, snapshot.id));
    await this.registry.end(intentId);
  }

  // A failure that is not a crash undoes its own step at once: nothing waits for a restart to be cleaned.
  async #step(
    intent: Parameters<Registry["begin"]>[0],
    undo: () => Promise<void>,
    work: (intentId: string) => Promise<void>,
  ): Promise<void> {
    const intentId = await this.registry.begin(intent);
    try {
      await work(intentId);
    } catch (error) {
      await undo();
      await this.registry.end(intentId);
      throw error;
    }
  }

  #volume(id: string): Volume {
    const volume = this.registry.volume(id);
    if (!volume) throw new StorageError("not-found", `volume ${id} does not exist`);
    return volume;
  }

  #sourceDir(spec: VolumeSpec): string | null {
    if (!spec.source) return null;
    return spec.source.type === "snapshot"
      ? snapshotDir(this.pool, spec.source.snapshotId)
      : volumeDir(this.pool, spec.source.volumeId);
  }

  #missing(id: string, error: unknown): unknown {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") return error;
    return new StorageError(
      "failed-precondition",
      `the image of volume ${id} is missing from the pool; run granary doctor`,
    );
  }

  #committedBytes(): bigint {
    return this.registry.volumes().reduce((sum, volume) => sum + volume.capacityBytes, 0n);
  }

  async #assertRoom(moreBytes: bigint, thick: boolean): Promise<void> {
    const { totalBytes, freeBytes } = await poolSpace(this.pool);
    const limit = BigInt(Math.floor(Number(totalBytes) * this.options.overcommit));
    const committed = this.#committedBytes();
    if (committed + moreBytes > limit) {
      throw new StorageError(
        "resource-exhausted",
        `${moreBytes} more bytes pass the pool's overcommit limit: ${committed} of ${limit} bytes are committed`,
      );
    }
    if (thick && moreBytes > freeBytes) {
      throw new StorageError(
        "resource-exhausted",
        `a thick volume needs ${moreBytes} bytes, the pool has ${freeBytes} free`,
      );
    }
  }

  async #lowSpace(): Promise<string | null> {
    const { totalBytes, freeBytes } = await poolSpace(this.pool);
    if (Number(freeBytes) >= Number(totalBytes) * this.options.lowSpaceRatio) return null;
    return `the pool is low on space: ${freeBytes} of ${totalBytes} bytes free, less than ${this.options.lowSpaceRatio * 100} percent`;
  }

  async #snapshotExtents(ctx: Context, id: string) {
    const snapshot = this.registry.snapshot(id);
    if (!snapshot) throw new StorageError("not-found", `snapshot ${id} does not exist`);
    const extents = await fileExtents(this.options.exec, join(snapshotDir(this.pool, id), "image"), ctx.signal);
    return { sizeBytes: snapshot.sizeBytes, extents };
  }
}
