import { refused } from "../../../../errors/storage-error.js";
import type { WritePreconditions } from "../../../object-engine.js";
import { etagOf, generationOf, modifiedOf, sequenceOf, sizeOf, versionIdOf } from "../records.js";

/** What a key has now: a current object, or a delete marker that hides it, or nothing. */
export interface Current {
  readonly record: Buffer | undefined;
  readonly marker: Buffer | undefined;
}

/**
 * S3, "Conditional requests": If-Match asks for a current object of that ETag, If-None-Match for none of it.
 *
 * @throws no-such-key, precondition-failed, conflict
 */
export function checkPreconditions(preconditions: WritePreconditions, { record, marker }: Current): void {
  const { ifMatch, ifNoneMatch, ifMatchLastModifiedMs, ifMatchSizeBytes, generation } = preconditions;
  // A delete marker is a version too: what looked at it may end it, and nothing that came in its place.
  checkGeneration(generation, record ?? marker);
  if (ifNoneMatch !== undefined && record && (ifNoneMatch === "*" || ifNoneMatch === etagOf(record)))
    throw refused("precondition-failed", "If-None-Match does not hold: the object is there");
  const asksForOne = ifMatch !== undefined || ifMatchLastModifiedMs !== undefined || ifMatchSizeBytes !== undefined;
  if (!asksForOne) return;
  if (!record) throw missing(marker);
  if (ifMatch !== undefined && ifMatch !== "*" && ifMatch !== etagOf(record))
    throw refused("precondition-failed", "If-Match does not hold: the object has another ETag");
  // HTTP dates have no fractions.
  if (ifMatchLastModifiedMs !== undefined && seconds(ifMatchLastModifiedMs) !== seconds(modifiedOf(record)))
    throw refused("precondition-failed", "the object was last modified at another time");
  if (ifMatchSizeBytes !== undefined && ifMatchSizeBytes !== sizeOf(record))
    throw refused("precondition-failed", "the object has another size");
}

/** @throws conflict where the version is not the one that was looked at */
export function checkGeneration(generation: string | undefined, record: Buffer | undefined): void {
  if (generation !== undefined && (!record || generationOf(record) !== generation))
    throw refused("conflict", "the object has changed since it was looked at; try again");
}

/** @throws conflict where the version is the current one */
export function checkNoncurrent(record: Buffer, { record: object, marker }: Current): void {
  const current = object ?? marker;
  if (current && sequenceOf(current) === sequenceOf(record))
    throw refused("conflict", "the version has become the current one");
}

const seconds = (ms: number) => Math.floor(ms / 1000);

/** no-such-key; with the delete marker where one hides the key. */
export function missing(marker: Buffer | undefined) {
  return refused("no-such-key", "the key is not there", marker ? { deleteMarker: markerOf(marker) } : {});
}

export const markerOf = (record: Buffer) => ({ versionId: versionIdOf(record), lastModifiedMs: modifiedOf(record) });
