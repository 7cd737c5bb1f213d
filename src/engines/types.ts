import type { Logger } from "pino";
import type { Publication, Snapshot, SnapshotGroup, Volume, VolumeKind, VolumeSpec } from "../model/volume.js";

/** What every engine call is given: the request's deadline, its id, and a logger that carries both. */
export interface Context {
  signal: AbortSignal;
  requestId: string;
  log: Logger;
  /** The CSI request's secrets, by key. Never logged, never on a command line. */
  secrets?: Readonly<Record<string, string>>;
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
 * Stores volumes. Strict: create fails if the name exists, calls are not retried inside. Idempotency and this process's
 * locks live once, above it. Where several controllers share what an engine stores in, the engine itself holds off the
 * others: a call that another controller is in the way of is aborted, and what it was decided on is looked at again under
 * the engine's own lock. Every method throws StorageError; unavailable when its cluster does not answer.
 */
export interface VolumeEngine {
  /** For people: `local`, `ceph cluster main (RBD)`. */
  readonly title: string;
  /** A larger volume's device and file system have to be made to follow on its node. */
  readonly expandsOnNode: boolean;
  /** A volume cannot be larger, whatever is free. */
  readonly largestVolumeBytes: bigint;
  /** Keys that a StorageClass may have for this engine, beside kind, file system and mkfsOptions. */
  readonly parameterKeys: readonly string[];
  /** Keys that a VolumeAttributesClass may have. */
  readonly mutableKeys: readonly string[];
  /**
   * The values of this engine's own keys of a StorageClass.
   *
   * @throws StorageError invalid-argument naming the key and what would be right
   */
  checkParameters(parameters: Readonly<Record<string, string>>, kind: VolumeKind): void;
  /** The same of a VolumeAttributesClass; nothing is applied when one key is wrong. */
  checkMutable(mutable: Readonly<Record<string, string>>, kind: VolumeKind): void;
  /** The nodes that reach its volumes; null: any. */
  nodeIds(ctx: Context): Promise<readonly string[] | null>;
  create(ctx: Context, spec: VolumeSpec): Promise<Volume>;
  /** Undefined too for an id that is another engine's, or nobody's. */
  get(ctx: Context, id: string): Promise<Volume | undefined>;
  findByName(ctx: Context, name: string): Promise<Volume | undefined>;
  /** Volumes in id order, after `afterId`, at most `limit` (0: all). */
  list(ctx: Context, afterId: string, limit: number): Promise<Volume[]>;
  /** Gone already is fine; what an earlier delete could not remove is removed. */
  delete(ctx: Context, id: string): Promise<void>;
  expand(ctx: Context, id: string, capacityBytes: bigint): Promise<Volume>;
  modify(ctx: Context, id: string, mutableParameters: Record<string, string>): Promise<Volume>;
  /** Answers the publish context: what the node finds the volume by, and no secret. */
  publish(ctx: Context, id: string, publication: Publication): Promise<Record<string, string>>;
  /** `nodeId` "": from all nodes. A node that still has the volume attached is fenced first. */
  unpublish(ctx: Context, id: string, nodeId: string): Promise<void>;
  createSnapshot(ctx: Context, name: string, volumeId: string): Promise<Snapshot>;
  getSnapshot(ctx: Context, id: string): Promise<Snapshot | undefined>;
  findSnapshotByName(ctx: Context, name: string): Promise<Snapshot | undefined>;
  /** In id order. */
  listSnapshots(ctx: Context): Promise<Snapshot[]>;
  deleteSnapshot(ctx: Context, id: string): Promise<void>;
  createGroup(ctx: Context, name: string, volumeIds: readonly string[]): Promise<SnapshotGroup>;
  getGroup(ctx: Context, id: string): Promise<SnapshotGroup | undefined>;
  findGroupByName(ctx: Context, name: string): Promise<SnapshotGroup | undefined>;
  deleteGroup(ctx: Context, id: string): Promise<void>;
  allocated(ctx: Context, snapshotId: string): Promise<Extent[]>;
  changed(ctx: Context, baseSnapshotId: string, targetSnapshotId: string): Promise<Extent[]>;
  /** `parameters`: of the class that asks. */
  capacity(ctx: Context, parameters: Readonly<Record<string, string>>): Promise<Capacity>;
  condition(ctx: Context, id: string): Promise<Condition>;
  /** Throws failed-precondition with the reason when the engine cannot serve. */
  probe(ctx: Context): Promise<void>;
  close(): Promise<void>;
}
