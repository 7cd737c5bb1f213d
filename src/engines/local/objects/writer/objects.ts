import { invalid, refused, StorageError } from "../../../../errors/storage-error.js";
import type { DeleteOutcome, VersionChange } from "../../../object-engine.js";
import { type Found, findVersion } from "../lookup.js";
import type { Decided, DeleteRequest, Operations, PutRequest, Refusal, SourceRequest } from "../protocol.js";
import { toRefusal } from "../protocol.js";
import {
  BODY_FILE,
  BODY_INLINE,
  bodyId,
  bodyKind,
  bodyOf,
  decodeVersion,
  isDeleteMarker,
  modifiedOf,
  sequenceOf,
  setBody,
  setBodyId,
  sizeOf,
  versionIdOf,
  withAttributes,
} from "../records.js";
import { addBody, shareBody } from "./bodies.js";
import { checkOpen } from "./generations.js";
import { checkRemovable, checkRetentionChange } from "./locks.js";
import { checkGeneration, checkNoncurrent, checkPreconditions, markerOf, missing } from "./preconditions.js";
import { type BucketState, checkQuota, type Store } from "./store.js";
import { currentOf, install, installMarker, newVersion, planReplacement, removeVersion } from "./versions.js";

export function put(store: Store, { key, record, inline, preconditions }: PutRequest): Decided {
  const state = store.bucketOf(key);
  const plan = planReplacement(store, state, key, preconditions);
  const size = sizeOf(record);
  checkQuota(state, 1 - plan.freedObjects, size - plan.freedBytes);
  if (bodyKind(record) === BODY_FILE) checkOpen(store, bodyId(record));
  const decided = newVersion(store, state);
  if (bodyKind(record) === BODY_INLINE) setBodyId(record, decided.sequence);
  addBody(store, bodyOf(record), inline);
  install(store, plan, record, decided);
  store.use(state, 0, size);
  return decided;
}

/** Each on its own: what refuses one leaves the others. */
export function deleteAll(store: Store, requests: readonly DeleteRequest[]): (DeleteOutcome | Refusal)[] {
  return requests.map((request) => {
    try {
      return deleteOne(store, request);
    } catch (error) {
      if (error instanceof StorageError) return toRefusal(error);
      throw error;
    }
  });
}

function deleteOne(store: Store, request: DeleteRequest): DeleteOutcome {
  const state = store.bucketOf(request.key);
  if (request.versionId !== "") return deleteVersion(store, state, request);
  const { key, preconditions, bypassGovernance } = request;
  if (state.bucket.versioning !== "off") {
    const plan = planReplacement(store, state, key, preconditions);
    return { versionId: versionIdOf(installMarker(store, plan)), deleteMarker: true };
  }
  const current = currentOf(store, state, key);
  checkPreconditions(preconditions, current);
  if (current.record) remove(store, state, key, { record: current.record, tableKey: undefined }, bypassGovernance);
  return { versionId: undefined, deleteMarker: false };
}

function deleteVersion(store: Store, state: BucketState, request: DeleteRequest): DeleteOutcome {
  const { key, versionId, preconditions, bypassGovernance } = request;
  const found = findVersion(store.tables, key, versionId);
  const object = found && !isDeleteMarker(found.record) ? found.record : undefined;
  checkPreconditions(preconditions, { record: object, marker: object ? undefined : found?.record });
  if (preconditions.noncurrent && found) checkNoncurrent(found.record, currentOf(store, state, key));
  if (found) remove(store, state, key, found, bypassGovernance);
  return {
    versionId: state.bucket.versioning === "off" ? undefined : versionId,
    deleteMarker: found !== undefined && object === undefined,
  };
}

function remove(store: Store, state: BucketState, key: Buffer, found: Found, bypassGovernance: boolean): void {
  if (!isDeleteMarker(found.record)) checkRemovable(found.record, store.nowMs, bypassGovernance);
  removeVersion(store, state, key, found);
}

/** The version that the caller read, if it is still that one. @throws no-such-key, conflict */
export function sourceRecord(store: Store, source: SourceRequest): Buffer {
  store.bucketOf(source.key);
  const record = findVersion(store.tables, source.key, source.versionId)?.record;
  if (!record) throw refused("no-such-key", "the source is not there any more");
  if (sequenceOf(record) !== source.sequence || isDeleteMarker(record))
    throw refused("conflict", "the source has changed since it was looked at; try again");
  return record;
}

export function copyObject(store: Store, request: Operations["copy"]["request"]): Decided {
  const { key, record, preconditions } = request;
  const state = store.bucketOf(key);
  const source = sourceRecord(store, request.source);
  const plan = planReplacement(store, state, key, preconditions);
  const size = sizeOf(source);
  checkQuota(state, 1 - plan.freedObjects, size - plan.freedBytes);
  // Shared before the old version goes: that may be the source itself.
  setBody(record, shareBody(store, source));
  const decided = newVersion(store, state);
  install(store, plan, record, decided);
  store.use(state, 0, size);
  return decided;
}

/**
 * Where nothing is versioned, the record moves. Elsewhere nothing may vanish: the new key gets a version with the same
 * bytes, and the old one a delete marker. Both in one commit; what the object says of itself, its time included, stays.
 */
export function rename(store: Store, request: Operations["rename"]["request"]): null {
  const { from, to, fromPreconditions, toPreconditions } = request;
  if (from.equals(to)) throw invalid("the object is to be renamed to the name that it has");
  const state = store.bucketOf(from);
  const fromPlan = planReplacement(store, state, from, fromPreconditions);
  const source = fromPlan.current.record;
  if (!source) throw missing(fromPlan.current.marker);
  const toPlan = planReplacement(store, state, to, toPreconditions);
  const size = sizeOf(source);
  const moved = Buffer.from(source);
  const freedObjects = toPlan.freedObjects + fromPlan.freedObjects;
  checkQuota(state, 1 - freedObjects, size - toPlan.freedBytes - fromPlan.freedBytes);
  const decided = { ...newVersion(store, state), modifiedMs: modifiedOf(source) };
  if (state.bucket.versioning === "off") {
    store.tables.objects.removeSync(from);
    store.use(state, -1, 0);
    install(store, toPlan, moved, decided);
  } else {
    setBody(moved, shareBody(store, source));
    install(store, toPlan, moved, decided);
    store.use(state, 0, size);
    installMarker(store, fromPlan);
  }
  return null;
}

export function changeVersion(store: Store, request: Operations["changeVersion"]["request"]) {
  const { key, versionId, change } = request;
  const state = store.bucketOf(key);
  const found = versionId === "" ? currentVersion(store, state, key) : findVersion(store.tables, key, versionId);
  if (!found) throw refused("no-such-version", `the key has no version ${JSON.stringify(versionId)}`);
  if (isDeleteMarker(found.record))
    throw refused("delete-marker", "the version is a delete marker", { deleteMarker: markerOf(found.record) });
  checkGeneration(change.generation, found.record);
  checkRetentionChange(found.record, change, store.nowMs);
  const changed = changedRecord(found.record, change);
  if (found.tableKey) store.tables.versions.putSync(found.tableKey, changed);
  else store.tables.objects.putSync(key, changed);
  return { record: changed, isLatest: found.tableKey === undefined };
}

function currentVersion(store: Store, state: BucketState, key: Buffer): Found {
  const { record, marker } = currentOf(store, state, key);
  if (!record) throw missing(marker);
  return { record, tableKey: undefined };
}

function changedRecord(record: Buffer, { tags, acl, legalHold, retention }: VersionChange): Buffer {
  const { attributes } = decodeVersion(record, "", false, "");
  return withAttributes(record, {
    ...attributes,
    ...(tags === undefined ? {} : { tags }),
    ...(acl === undefined ? {} : { acl }),
    ...(legalHold === undefined ? {} : { legalHold }),
    ...(retention === undefined ? {} : { retention }),
  });
}
