import type { WritePreconditions } from "../../../object-engine.js";
import { sequenceKey, versionKey } from "../keys.js";
import { type Found, newestInVersions, nullInVersions } from "../lookup.js";
import type { Decided } from "../protocol.js";
import { decide, encodeDeleteMarker, isDeleteMarker, isNull, sequenceOf, sizeOf } from "../records.js";
import { copyOf } from "../tables.js";
import { releaseBody } from "./bodies.js";
import { checkRemovable } from "./locks.js";
import { type Current, checkPreconditions } from "./preconditions.js";
import type { BucketState, Store } from "./store.js";

export function currentOf(store: Store, state: BucketState, key: Buffer): Current {
  const record = copyOf(store.tables.objects, key);
  if (record || state.bucket.versioning === "off") return { record, marker: undefined };
  return { record, marker: newestInVersions(store.tables, key)?.record };
}

/** What a new version of a key does to those that are there: made and checked before anything is changed. */
export interface Replacement {
  readonly state: BucketState;
  readonly key: Buffer;
  readonly current: Current;
  /** The version that goes: the null version, where the new one is a null version too. */
  readonly replaced: Found | undefined;
  readonly freedObjects: number;
  readonly freedBytes: number;
}

/** @throws what checkPreconditions throws; object-locked where the version that would go may not */
export function planReplacement(
  store: Store,
  state: BucketState,
  key: Buffer,
  preconditions: WritePreconditions,
): Replacement {
  const current = currentOf(store, state, key);
  checkPreconditions(preconditions, current);
  const replaced = replacedBy(store, state, key, current);
  const object = replaced && !isDeleteMarker(replaced.record) ? replaced.record : undefined;
  if (object) checkRemovable(object, store.nowMs, false);
  return { state, key, current, replaced, freedObjects: object ? 1 : 0, freedBytes: object ? sizeOf(object) : 0 };
}

function replacedBy(store: Store, state: BucketState, key: Buffer, { record }: Current): Found | undefined {
  if (state.bucket.versioning === "enabled") return undefined;
  if (record && isNull(record)) return { record, tableKey: undefined };
  return state.bucket.versioning === "off" ? undefined : nullInVersions(store.tables, key);
}

/** Sequence, time and id of a version that is made now. */
export function newVersion(store: Store, state: BucketState): Decided {
  const random = state.bucket.versioning === "enabled" ? store.random() : null;
  return { sequence: store.nextSequence(), modifiedMs: store.nowMs, random };
}

/** Makes the record, complete but for `decided`, the key's current version. Its bytes are counted by the caller. */
export function install(store: Store, plan: Replacement, record: Buffer, decided: Decided): void {
  decide(record, decided.sequence, decided.modifiedMs, decided.random ?? undefined);
  makeRoom(store, plan);
  store.tables.objects.putSync(plan.key, record);
  store.use(plan.state, 1 - plan.freedObjects, -plan.freedBytes);
}

const MARKER = encodeDeleteMarker();

/** Hides the key behind a delete marker. Of a bucket that has, or had, versions. */
export function installMarker(store: Store, plan: Replacement): Buffer {
  const { state, key } = plan;
  const marker = Buffer.from(MARKER);
  const { sequence, modifiedMs, random } = newVersion(store, state);
  decide(marker, sequence, modifiedMs, random ?? undefined);
  makeRoom(store, plan);
  if (plan.current.record) store.tables.objects.removeSync(key);
  store.tables.versions.putSync(versionKey(key, sequence), marker);
  if (!random) store.tables.nulls.putSync(key, sequenceKey(sequence));
  store.use(state, -plan.freedObjects, -plan.freedBytes);
  state.usage.deleteMarkers++;
  return marker;
}

function makeRoom(store: Store, { state, key, current, replaced }: Replacement): void {
  if (replaced) {
    if (replaced.tableKey) {
      store.tables.versions.removeSync(replaced.tableKey);
      store.tables.nulls.removeSync(key);
    }
    letGo(store, state, replaced.record);
  }
  const { record } = current;
  if (record && record !== replaced?.record) {
    store.tables.versions.putSync(versionKey(key, sequenceOf(record)), record);
    if (isNull(record)) store.tables.nulls.putSync(key, sequenceKey(sequenceOf(record)));
  }
}

function letGo(store: Store, state: BucketState, record: Buffer): void {
  if (isDeleteMarker(record)) state.usage.deleteMarkers--;
  else releaseBody(store, record);
}

/** Removes one version; if that was the current one, the next newest follows. */
export function removeVersion(store: Store, state: BucketState, key: Buffer, { record, tableKey }: Found): void {
  if (tableKey) {
    store.tables.versions.removeSync(tableKey);
    if (isNull(record)) store.tables.nulls.removeSync(key);
  } else store.tables.objects.removeSync(key);
  letGo(store, state, record);
  const isObject = !isDeleteMarker(record);
  store.use(state, isObject ? -1 : 0, isObject ? -sizeOf(record) : 0);
  if (state.bucket.versioning !== "off") promote(store, key);
}

function promote(store: Store, key: Buffer): void {
  if (store.tables.objects.doesExist(key)) return;
  const newest = newestInVersions(store.tables, key);
  if (!newest?.tableKey || isDeleteMarker(newest.record)) return;
  store.tables.versions.removeSync(newest.tableKey);
  if (isNull(newest.record)) store.tables.nulls.removeSync(key);
  store.tables.objects.putSync(key, newest.record);
}
