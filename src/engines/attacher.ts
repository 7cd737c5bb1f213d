import type { MountEntry } from "../os/mount.js";
import type { FormatRecord } from "./format-record.js";
import type { Context } from "./types.js";

/** A volume as its node was told of it: kept in the node's records, and so without a secret. */
export interface NodeRef {
  volumeId: string;
  /** The publish context, as the engine's publish() answered it; {} for what was published without one. */
  publishContext: Readonly<Record<string, string>>;
}

/** A block device that is a volume's. */
export interface Device {
  /** `/dev/loop0` ... */
  device: string;
  readonly: boolean;
  /** The engine's proof of what the device shows: equal for equal images, and never used again for another. */
  identity: string;
}

/**
 * The node's half of an engine whose volumes are block devices. Nothing that I/O needs lives in this process: a device
 * stays when it ends, and is found again from what the kernel shows.
 */
export interface DeviceAttacher {
  readonly type: "device";
  /**
   * The volume is there, and is the one that was published: its identity.
   *
   * @throws StorageError not-found, failed-precondition
   */
  prove(ctx: Context, ref: NodeRef): Promise<string>;
  /** Attaches the volume, or finds the device that it is attached as; grown to the volume's size, and proven to be it. */
  attach(ctx: Context, ref: NodeRef, readonly: boolean): Promise<Device & { sizeBytes: bigint }>;
  /** The volume's devices on this host, by what the kernel shows. `identity`: the recorded one, for when the volume is gone. */
  devices(ctx: Context, ref: NodeRef, identity: string | undefined): Promise<Device[]>;
  /** Detaches those of them that nothing has mounted. */
  detach(ctx: Context, devices: readonly Device[]): Promise<void>;
  /** @throws StorageError failed-precondition when there is one that cannot be understood: it is then not absent either */
  readRecord(ctx: Context, ref: NodeRef): Promise<FormatRecord | undefined>;
  /** Replaces the record; `synced` settles when it outlives a loss of power. */
  writeRecord(ctx: Context, ref: NodeRef, record: FormatRecord): Promise<{ synced: Promise<void> }>;
  /**
   * Nothing was ever written to the volume but zeros: every byte of it that may be data is read.
   *
   * @throws StorageError failed-precondition in every case of doubt
   */
  proveBlank(ctx: Context, ref: NodeRef, device: string): Promise<void>;
  /** Why the volume that is shown here is not well, as far as its engine sees from this host; undefined when it is. */
  problem(ctx: Context, ref: NodeRef, identity: string): Promise<string | undefined>;
  /** Devices of volumes that no record of this node names any more, of a crash: detached. Called before the node serves. */
  heal?(ctx: Context, known: readonly { ref: NodeRef; identity: string }[]): Promise<void>;
}

/** The node's half of an engine whose volumes are file systems of their own: mounted, never formatted. */
export interface FilesystemAttacher {
  readonly type: "filesystem";
  prove(ctx: Context, ref: NodeRef): Promise<string>;
  /** Mounts the volume at `path`, an existing empty folder. */
  mount(ctx: Context, ref: NodeRef, at: { path: string; readonly: boolean; flags: readonly string[] }): Promise<void>;
  /** The mount is this volume's, by what the kernel shows. A bind mount of it shows the same. */
  owns(entry: MountEntry, ref: NodeRef, identity: string): boolean;
  problem(ctx: Context, ref: NodeRef, identity: string): Promise<string | undefined>;
  /**
   * Takes one mount away, if it is there; with the last one, what served it has ended when this returns. Repeated with
   * nothing mounted, it waits for that end alone.
   */
  unmount(ctx: Context, ref: NodeRef, path: string): Promise<void>;
}

export type Attacher = DeviceAttacher | FilesystemAttacher;
