import { notFound, StorageError } from "../errors/storage-error.js";
import { parseId } from "../model/volume-id.js";
import type { Attacher, DeviceAttacher, FilesystemAttacher } from "./attacher.js";

/** The attachers of one Ceph cluster, by the kind of volume that each attaches. */
export interface ClusterAttachers {
  block: DeviceAttacher;
  shared: FilesystemAttacher | null;
}

/** Every engine's half on this node, and which of them a volume's id means. */
export class AttacherSet {
  constructor(
    private readonly local: DeviceAttacher,
    private readonly clusters: ReadonlyMap<string, ClusterAttachers> = new Map(),
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
    const cluster = this.clusters.get(name);
    const attacher = found.engine === "r" ? cluster?.block : cluster?.shared;
    if (attacher) return attacher;
    const what = cluster ? `cluster ${name} has no filesystem in it` : `it has no cluster ${name}`;
    throw new StorageError(
      "failed-precondition",
      `volume ${volumeId} cannot be reached with this node's config: ${what}`,
    );
  }
}
