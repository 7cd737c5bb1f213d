import { NULL_VERSION, type VersionSummary } from "../../model/object.js";

/**
 * The versioning that a version must be written under: "null" ones while it is off or suspended, others while it is
 * enabled. A key has one "null" version at most; those that are older come before it, the newer ones after.
 */
export type Stage = "older" | "null" | "newer";
export const STAGES: readonly Stage[] = ["older", "null", "newer"];

export const stageNames = (stages: ReadonlySet<Stage>): Stage[] => STAGES.filter((stage) => stages.has(stage));

export interface Difference {
  /** Of the target, newest first: they are not the source's, or lie in the wrong place. */
  remove: readonly VersionSummary[];
  /** Of the source, oldest first. */
  add: readonly { version: VersionSummary; stage: Stage }[];
}

/** Whether two versions hold the same, as far as listings tell. Ids and times are each engine's own. */
export function sameVersion(a: VersionSummary, b: VersionSummary): boolean {
  if (a.deleteMarker !== b.deleteMarker) return false;
  if ((a.versionId === NULL_VERSION) !== (b.versionId === NULL_VERSION)) return false;
  if (a.deleteMarker) return true;
  // An engine may leave a checksum out of its listings.
  const checksums = a.checksum === null || b.checksum === null || a.checksum.value === b.checksum.value;
  return a.etag === b.etag && a.sizeBytes === b.sizeBytes && checksums;
}

/** What makes the target's versions of one key those of the source. Both lists are oldest first. */
export function difference(source: readonly VersionSummary[], target: readonly VersionSummary[]): Difference {
  let same = 0;
  while (
    same < source.length &&
    same < target.length &&
    sameVersion(source[same] as VersionSummary, target[same] as VersionSummary)
  )
    same++;
  const nullAt = source.findIndex(({ versionId }) => versionId === NULL_VERSION);
  const stageOf = (at: number): Stage => (at === nullAt ? "null" : at < nullAt ? "older" : "newer");
  return {
    remove: target.slice(same).reverse(),
    add: source.map((version, at) => ({ version, stage: stageOf(at) })).slice(same),
  };
}
