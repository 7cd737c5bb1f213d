import { notFound, StorageError } from "../errors/storage-error.js";
import { parseId } from "../model/volume-id.js";
import type { Attacher, DeviceAttacher, FilesystemAttacher, NodeRef } from "./attacher.js";
import type { Context } from "./types.js";

/** The attachers of Ceph's volumes, and the names of the clusters that they were given. */
export interface CephAttachers {
  clusters: readonly string[];
  block: DeviceAttacher;
  shared: FilesystemAttacher;
}

/** Every engine's half on this node, and which of them a volume's id means. */
export class AttacherSet {
  constructor(
    private readonly local: DeviceAttacher,
    private readonly ceph?: CephAttachers,
  ) {}

  /**
   * @throws StorageError not-found for an id that is nobody's; failed-precondition where this node's config has not its
   * cluster
   */
  forId(volumeId: string): Attacher {
    const found = parseId(volumeId);
    if (found?.kind !== "v") throw notFound("no volume of that id");
    if (found.engine === "l") return this.local;
    const name = found.parts[0]?.split(".")[0] ?? "";
    if (this.ceph?.clusters.includes(name)) return found.engine === "r" ? this.ceph.block : this.ceph.shared;
    throw new StorageError(
      "failed-precondition",
      `volume ${volumeId} cannot be reached with this node's config: clusters has no ${name}`,
    );
  }

  /** Takes away what a crash left of volumes that the node has no record of: see `DeviceAttacher.heal`. */
  async heal(ctx: Context, known: readonly { ref: NodeRef; identity: string }[]): Promise<void> {
    for (const attacher of [this.local, this.ceph?.block]) await attacher?.heal?.(ctx, known);
  }
}
