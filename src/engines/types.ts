import type { Logger } from "pino";
import type { Publication, Snapshot, SnapshotGroup, Volume, VolumeSpec } from "../model/volume.js";

/** What every engine call is given: the request's deadline, its id, and a logger that carries both. */
export interface Context {
  signal: AbortSignal;
  requestId: string;
  log: Logger;
}

export interface Capacity {
  availableBytes: bigint;
  minimumVolumeBytes: bigint;
  maximumVolumeBytes: bigint;
}

export interface Condition {
  abnormal: boolean;
  message: string;
}

export interface Extent {
  offsetBytes: bigint;
  lengthBytes: bigint;
}

/**
 * Stores volumes. Strict: create fails if the name exists, calls are not retried inside. Idempotency and locks live
 * once, above it. Every method throws StorageError.
 */
export interface VolumeEngine {
  create(ctx: Context, spec: VolumeSpec): Promise<Volume>;
  get(id: string): Volume | undefined;
  findByName(name: string): Volume | undefined;
  /** Volumes in id order, after `afterId`, at most `limit` (0: all). */
  list(afterId: string, limit: number): Volume[];
  /** Gone already is fine; what an earlier delete could not remove is removed. */
  delete(ctx: Context, id: string): Promise<void>;
  expand(ctx: Context, id: string, capacityBytes: bigint): Promise<Volume>;
  modify(ctx: Context, id: string, mutableParameters: Record<string, string>): Promise<Volume>;
  publish(ctx: Context, id: string, publication: Publication): Promise<Record<string, string>>;
  unpublish(ctx: Context, id: string, nodeId: string): Promise<void>;
  createSnapshot(ctx: Context, name: string, volumeId: string): Promise<Snapshot>;
  getSnapshot(id: string): Snapshot | undefined;
  findSnapshotByName(name: string): Snapshot | undefined;
  listSnapshots(): Snapshot[];
  deleteSnapshot(ctx: Context, id: string): Promise<void>;
  createGroup(ctx: Context, name: string, volumeIds: readonly string[]): Promise<SnapshotGroup>;
  getGroup(id: string): SnapshotGroup | undefined;
  findGroupByName(name: string): SnapshotGroup | undefined;
  deleteGroup(ctx: Context, id: string): Promise<void>;
  allocated(ctx: Context, snapshotId: string): Promise<Extent[]>;
  changed(ctx: Context, baseSnapshotId: string, targetSnapshotId: string): Promise<Extent[]>;
  capacity(ctx: Context): Promise<Capacity>;
  condition(id: string): Promise<Condition>;
  /** Throws failed-precondition with the reason when the engine cannot serve. */
  probe(ctx: Context): Promise<void>;
}
