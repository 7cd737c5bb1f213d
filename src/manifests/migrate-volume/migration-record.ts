import { randomBytes } from "node:crypto";
import type { CreateVolumeRequest } from "../../../proto/gen/csi/v1/CreateVolumeRequest.js";
import type { PersistentVolume, PersistentVolumeClaim } from "../objects.js";

const ANNOTATION = "csi.granary.dev/migration";

/**
 * How far a claim's migration has come, kept with the claim before each step is taken: whatever was made has a name that
 * is found again, and is made again by the same request.
 */
export interface Migration {
  /** The StorageClass that it goes to. */
  to: string;
  /** The PersistentVolume that it goes from. */
  from: string;
  /** Of the new PersistentVolume, and of the request that makes its volume. */
  name: string;
  request: CreateVolumeRequest & { name: string };
  /** The snapshot that the target holds, and what has changed since then is to be copied; none at first. */
  base?: string;
  /** Runs so far: each cuts a snapshot of its own, so that the last one is of a volume that nobody used since. */
  round: number;
  /** The run of that number has not ended: what it made is to be taken away. */
  open: boolean;
  /** Snapshots that were copied in part, by runs that were cut off: what they held is somewhere in the target. */
  partial: readonly string[];
  /** Snapshots that nothing needs any more. */
  garbage: readonly string[];
  /** The claim has its new volume; the old one stays, or goes as its reclaim policy says. */
  ended: false | "source-kept" | "source-released";
}

export const newTargetName = (claim: PersistentVolumeClaim): string =>
  `pvc-${claim.metadata.uid}-${randomBytes(3).toString("hex")}`;

export function migrationOf(claim: PersistentVolumeClaim): Migration | undefined {
  const text = claim.metadata.annotations[ANNOTATION];
  return text === undefined ? undefined : (JSON.parse(text) as Migration);
}

export function recordMigration(claim: PersistentVolumeClaim, migration: Migration): void {
  claim.metadata.annotations[ANNOTATION] = JSON.stringify(migration);
}

export function forgetMigration(claim: PersistentVolumeClaim): void {
  delete claim.metadata.annotations[ANNOTATION];
}

export const isFrom = (migration: Migration, volume: PersistentVolume): boolean =>
  migration.from === volume.metadata.name;
