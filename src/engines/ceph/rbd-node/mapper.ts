import type { Context } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import type { RbdImage } from "./image.js";

/** What makes a block device of an image on this host. */
export type MapperKind = "krbd" | "rbd-nbd" | "qemu-storage-daemon";

/** A device that shows an image, by what the kernel tells. */
export interface Mapped {
  mapper: MapperKind;
  device: string;
  /** As `identityOf` writes it. */
  identity: string;
  readonly: boolean;
  sizeBytes: bigint;
  /** False: what served it has died, and every access fails. */
  alive: boolean;
}

/** An image that is to be mapped, and what proves it afterwards. */
export interface MapWish {
  image: RbdImage;
  identity: string;
  readonly: boolean;
  /** The image's size now, in bytes. */
  sizeBytes: bigint;
  /** The names of its features, as `rbd info` writes them. */
  features: readonly string[];
  /**
   * The name still names this very image. For a mapper whose device shows names alone: asked once it has the image open.
   *
   * @throws StorageError failed-precondition
   */
  prove(): Promise<void>;
}

export interface Mapper {
  readonly kind: MapperKind;
  /** What keeps this mapper from the image, for people; undefined: nothing. */
  refuses(wish: MapWish): Promise<string | undefined>;
  /** Every device that this mapper made on this host, whoever asked for it. */
  list(): Promise<Mapped[]>;
  /** Makes a device. It is found by `list` then. */
  map(ctx: Context, wish: MapWish, cluster: CephCluster): Promise<void>;
  /** Makes the device as large as the image, which has grown to `sizeBytes`. */
  grow(ctx: Context, mapped: Mapped, sizeBytes: bigint): Promise<void>;
  /** @throws StorageError failed-precondition when something still has the device open */
  unmap(ctx: Context, mapped: Mapped): Promise<void>;
  /** What a mapping that was cut off, or whose process died, has left without a device. */
  clear(ctx: Context, identity: string, readonly: boolean): Promise<void>;
}
