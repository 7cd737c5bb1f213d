import { StorageError } from "../errors/storage-error.js";
import { MULTI_NODE, type Publication, type Volume } from "./volume.js";

/**
 * Whether `wanted` may be beside what the volume is published as (rules/csi.md 12 and 13). An engine that several
 * controllers share asks again under its own lock.
 *
 * @throws StorageError already-exists for the same node with another capability; failed-precondition, naming the node,
 * where another one holds it
 */
export function checkPublication(volume: Volume, wanted: Publication): void {
  for (const existing of volume.publications) {
    if (existing.nodeId === wanted.nodeId) {
      if (existing.readonly === wanted.readonly && existing.capability === wanted.capability) continue;
      throw new StorageError(
        "already-exists",
        `volume ${volume.id} is published to node ${wanted.nodeId} with another capability or readonly`,
      );
    }
    if (!MULTI_NODE.has(wanted.mode) || !MULTI_NODE.has(existing.mode)) {
      throw new StorageError(
        "failed-precondition",
        `volume ${volume.id} is published to node ${existing.nodeId} as ${existing.mode}`,
      );
    }
  }
}
