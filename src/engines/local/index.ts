/**
 * The local volume engine. Crash model, step by step (the names of src/runtime/steps.ts):
 *
 * - create: image in new/, record, image into its place. What is in new/ at the next start goes into its place if it has
 *   a record, and away if it has none. An intent only for a copy of a volume: recovery thaws what was being copied.
 * - delete: intent, image to the trash, record gone, trash emptied, end of intent. Recovery goes on to the end.
 * - expand: intent, truncate, record + end of intent. Recovery repeats the truncate and writes the record.
 * - snapshot, group: intent, freeze, copy, thaw, records + end of intent. Recovery thaws and removes the copies.
 * - delete of snapshots: as of a volume.
 * - publish, unpublish, modify: one commit.
 *
 * A step that fails without a crash undoes what came before it, and leaves no intent.
 */
import * as fs from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { messageOf, StorageError } from "../../errors/storage-error.js";
import type { Publication, Snapshot, SnapshotGroup, Volume, VolumeSpec } from "../../model/volume.js";
import { newId } from "../../model/volume-id.js";
import type { Exec } from "../../os/exec.js";
import { fileExtents } from "../../os/filefrag.js";
import { imageUsers } from "../../os/image-users.js";
import type { KeyedLock } from "../../runtime/keyed-lock.js";
import { step } from "../../runtime/steps.js";
import type { Capacity, Condition, Context, Extent, VolumeEngine } from "../types.js";
import { whileFrozen } from "./cut.js";
import { allocatedExtents, changedExtents } from "./extents.js";
import { cloneImage, makeImage, placeVolume, removeImage, resizeImage } from "./image.js";
import {
  assertPool,
  assertWritable,
  imageIn,
  newDir,
  openPool,
  type Pool,
  poolSpace,
  snapshotDir,
  volumeDir,
} from "./pool.js";
import { type PoolStatus, poolStatus } from "./pool-status.js";
import { reclaimDue } from "./reclaim.js";
import { recover } from "./recover.js";
import { type Intent, intentKey, Registry } from "./registry.js";
import { deleteSnapshots, deleteVolume } from "./removal.js";

export interface LocalOptions {
  /** The hosts that reach the pool. */
  nodeIds: readonly string[];
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

/** The keys of classes that are this engine's own. Their values are read by the controller, with those of every engine. */
export const LOCAL_KEYS = { parameterKeys: ["provisioning", "reclaimSpace"], mutableKeys: ["reclaimSpace"] } as const;

export class LocalVolumeEngine implements VolumeEngine {
  readonly title = "the local engine";
  readonly largestVolumeBytes = MAX_VOLUME_BYTES;
  readonly expandsOnNode = true;
  readonly parameterKeys = LOCAL_KEYS.parameterKeys;
  readonly mutableKeys = LOCAL_KEYS.mutableKeys;
  /** Bytes promised to creates and expands that are under way. */
  #reservedBytes = 0n;

  private constructor(
    readonly pool: Pool,
    private readonly registry: Registry,
    private readonly options: LocalOptions,
  ) {}

  /** Opens pool and registry and finishes what a crash interrupted. */
  static async open(options: LocalOptions): Promise<LocalVolumeEngine> {
    await fs.mkdir(options.registryDir, { recursive: true, mode: 0o700 });
    const registry = new Registry(options.registryDir);
    try {
      const pool = await openPool(options.poolDir, registry.poolUuid);
      if (registry.poolUuid === "") await registry.setPoolUuid(pool.uuid);
      await recover(registry, pool, options.exec, options.log);
      return new LocalVolumeEngine(pool, registry, options);
    } catch (error) {
      await registry.close();
      throw error;
    }
  }

  checkParameters(): void {}
  checkMutable(): void {}
  nodeIds = async () => this.options.nodeIds;

  async create(ctx: Context, spec: VolumeSpec): Promise<Volume> {
    const id = newId("v");
    const dir = newDir(this.pool, id);
    const from = this.#sourceDir(spec);
    const volume: Volume = { ...spec, id, createdMs: Date.now(), publications: [] };
    const thick = spec.provisioning === "thick";
    await this.#withRoom(spec.capacityBytes, thick, async () => {
      try {
        if (!from) await makeImage(ctx, this.options.exec, dir, spec.capacityBytes, thick);
        else {
          await this.#copy(ctx, spec.source, from, dir);
          step("create-volume/source-copied");
          await resizeImage(ctx, this.options.exec, dir, spec.capacityBytes, thick);
        }
        step("create-volume/image-made");
        await this.registry.putVolume(volume);
        step("create-volume/recorded");
        await placeVolume(this.pool, id);
        step("create-volume/placed");
      } catch (error) {
        await this.#undoCreate(ctx, volume);
        throw error;
      }
    });
    return volume;
  }

  /** A copy of a volume freezes it: an intent has recovery thaw it. */
  async #copy(ctx: Context, source: VolumeSpec["source"], from: string, dir: string): Promise<void> {
    const clone = () => cloneImage(ctx, this.options.exec, this.pool, from, dir);
    if (source?.type !== "volume") return clone();
    const intentId = await this.registry.begin({ op: "copy-volume", volumeId: source.volumeId });
    step("copy-volume/intended");
    try {
      await this.#whileFrozen(ctx, [source.volumeId], clone);
    } finally {
      await this.registry.end(intentId);
    }
  }

  async #undoCreate(ctx: Context, volume: Volume): Promise<void> {
    try {
      if (this.registry.volume(volume.id)) await this.registry.forgetVolume(volume);
      await removeImage(newDir(this.pool, volume.id));
    } catch (error) {
      ctx.log.error({ volumeId: volume.id, error: messageOf(error) }, "a failed create could not be undone");
    }
  }

  get = async (_ctx: Context, id: string) => this.registry.volume(id);
  findByName = async (_ctx: Context, name: string) => this.registry.volumeNamed(name);
  list = async (_ctx: Context, afterId: string, limit: number) => this.registry.volumes(afterId, limit);
  getSnapshot = async (_ctx: Context, id: string) => this.registry.snapshot(id);
  findSnapshotByName = async (_ctx: Context, name: string) => this.registry.snapshotNamed(name);
  listSnapshots = async () => this.registry.snapshots();
  getGroup = async (_ctx: Context, id: string) => this.registry.group(id);
  findGroupByName = async (_ctx: Context, name: string) => this.registry.groupNamed(name);

  async delete(ctx: Context, id: string): Promise<void> {
    const volume = this.registry.volume(id);
    // A delete that could not remove the bytes has left its intent: the repeated one removes them.
    if (!volume && !this.registry.intent(intentKey({ op: "delete-volume", volumeId: id }))) return;
    await assertPool(this.pool);
    const inUse = volume ? await imageUsers(imageIn(volumeDir(this.pool, id))) : [];
    if (inUse[0])
      throw new StorageError(
        "failed-precondition",
        `volume ${id} is still attached on this host as ${inUse[0].device}`,
      );
    await deleteVolume({ registry: this.registry, pool: this.pool, log: ctx.log }, id);
  }

  async expand(ctx: Context, id: string, capacityBytes: bigint): Promise<Volume> {
    const volume = this.#volume(id);
    if (capacityBytes <= volume.capacityBytes) return volume;
    const dir = volumeDir(this.pool, id);
    const thick = volume.provisioning === "thick";
    const grown = { ...volume, capacityBytes };
    await this.#withRoom(capacityBytes - volume.capacityBytes, thick, async () => {
      await fs.access(imageIn(dir)).catch((error: unknown) => {
        throw this.#missing(id, error);
      });
      await this.#step(
        ctx,
        { op: "expand-volume", volumeId: id, capacityBytes },
        // Nobody has been told of the bytes past the old end, so nothing is in them.
        () => resizeImage(ctx, this.options.exec, dir, volume.capacityBytes, false),
        async (intentId) => {
          step("expand-volume/intended");
          await resizeImage(ctx, this.options.exec, dir, capacityBytes, thick);
          step("expand-volume/resized");
          await this.registry.putVolume(grown, intentId);
          step("expand-volume/recorded");
        },
      );
    });
    return grown;
  }

  async modify(_ctx: Context, id: string, mutableParameters: Record<string, string>): Promise<Volume> {
    const volume = this.#volume(id);
    const changed = { ...volume, mutableParameters: { ...volume.mutableParameters, ...mutableParameters } };
    await this.registry.putVolume(changed);
    step("modify-volume/recorded");
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
      step("publish-volume/recorded");
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
    if (publications.length === volume.publications.length) return;
    await this.registry.putVolume({ ...volume, publications });
    step("unpublish-volume/recorded");
  }

  async createSnapshot(ctx: Context, name: string, volumeId: string): Promise<Snapshot> {
    const [snapshot] = await this.#cut(ctx, [volumeId], () => name, null);
    return snapshot as Snapshot;
  }

  async deleteSnapshot(ctx: Context, id: string): Promise<void> {
    await this.#dropSnapshots(ctx, [id]);
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

  async deleteGroup(ctx: Context, id: string): Promise<void> {
    const group = this.registry.group(id);
    if (!group) throw new StorageError("not-found", `group snapshot ${id} does not exist`);
    await this.#dropSnapshots(ctx, group.snapshotIds);
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

  async capacity(_ctx: Context, _parameters: Readonly<Record<string, string>> = {}): Promise<Capacity> {
    const { totalBytes, freeBytes } = await poolSpace(this.pool);
    const limit = BigInt(Math.floor(Number(totalBytes) * this.options.overcommit));
    const left = limit - this.registry.committedBytes - this.#reservedBytes;
    const availableBytes = freeBytes === 0n || left < 0n ? 0n : left;
    const largest = availableBytes < MAX_VOLUME_BYTES ? availableBytes : MAX_VOLUME_BYTES;
    return { availableBytes, minimumVolumeBytes: MIN_VOLUME_BYTES, maximumVolumeBytes: largest };
  }

  async condition(_ctx: Context, id: string): Promise<Condition> {
    const volume = this.#volume(id);
    const away = await assertPool(this.pool).then(
      () => null,
      (error: unknown) => messageOf(error),
    );
    if (away !== null) return { abnormal: true, message: away };
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

  /** See `reclaimDue`. */
  reclaimSpace(locks: KeyedLock, signal: AbortSignal, nowMs: number): Promise<string[]> {
    const { exec, log } = this.options;
    return reclaimDue({ registry: this.registry, pool: this.pool, exec, log, locks, signal }, nowMs);
  }

  status(): Promise<PoolStatus> {
    const contents = { volumes: this.registry.volumes(), snapshots: this.registry.snapshots() };
    return poolStatus(this.pool, contents, this.options.overcommit);
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
    await assertPool(this.pool);
    await this.#step(
      ctx,
      { op: "create-snapshots", snapshotIds: snapshots.map((s) => s.id), volumeIds },
      undo,
      async (intentId) => {
        step("create-snapshots/intended");
        await this.#whileFrozen(ctx, volumeIds, async () => {
          for (const [i, volume] of volumes.entries()) {
            await cloneImage(ctx, this.options.exec, this.pool, volumeDir(this.pool, volume.id), dirs[i] as string);
            step("create-snapshots/member-copied");
          }
        });
        await this.registry.putSnapshots(snapshots, group, intentId);
        step("create-snapshots/recorded");
      },
    );
    return snapshots;
  }

  #whileFrozen<T>(ctx: Context, volumeIds: readonly string[], cut: () => Promise<T>): Promise<T> {
    const images = volumeIds.map((id) => imageIn(volumeDir(this.pool, id)));
    return whileFrozen(ctx, this.options.exec, this.pool, images, cut);
  }

  async #dropSnapshots(ctx: Context, ids: readonly string[]): Promise<void> {
    await assertPool(this.pool);
    await deleteSnapshots({ registry: this.registry, pool: this.pool, log: ctx.log }, ids);
  }

  // A failure that is not a crash undoes its own step at once: nothing waits for a restart to be cleaned.
  async #step(
    ctx: Context,
    intent: Intent,
    undo: () => Promise<void>,
    work: (intentId: string) => Promise<void>,
  ): Promise<void> {
    const intentId = await this.registry.begin(intent);
    try {
      await work(intentId);
    } catch (error) {
      try {
        await undo();
        await this.registry.end(intentId);
      } catch (undoing) {
        // The intent stays, and a restart finishes the undoing.
        ctx.log.error({ intent: intent.op, error: messageOf(undoing) }, "what failed could not be undone");
      }
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

  /** Runs the work with its bytes set aside: of two creates at once, the second sees what the first will take. */
  async #withRoom<T>(moreBytes: bigint, thick: boolean, work: () => Promise<T>): Promise<T> {
    await assertPool(this.pool);
    await this.#assertRoom(moreBytes, thick);
    this.#reservedBytes += moreBytes;
    try {
      return await work();
    } finally {
      this.#reservedBytes -= moreBytes;
    }
  }

  async #assertRoom(moreBytes: bigint, thick: boolean): Promise<void> {
    const { totalBytes, freeBytes } = await poolSpace(this.pool);
    const limit = BigInt(Math.floor(Number(totalBytes) * this.options.overcommit));
    const committed = this.registry.committedBytes + this.#reservedBytes;
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
