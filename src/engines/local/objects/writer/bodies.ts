import { readU64, writeU64 } from "../codec.js";
import { putInline, readInline, removeInline } from "../inline-bodies.js";
import { sequenceKey } from "../keys.js";
import { decodeManifest, manifestKey, type Segment } from "../manifests.js";
import { BODY_EMPTY, BODY_FILE, BODY_INLINE, BODY_MANIFEST, type BodyRef, bodyOf, sizeOf } from "../records.js";
import { copyOf } from "../tables.js";
import type { Store } from "./store.js";

/**
 * References to bytes. A body file counts the segments that lie in it, a manifest the versions that have it; what nobody
 * refers to any more is garbage, recorded in the commit that let go of it. Inline bodies have one owner each.
 */
const COUNT_BYTES = 4;

/** Puts a new version's own bytes where its record says they are. */
export function addBody(store: Store, body: BodyRef, inline: Buffer | null): void {
  if (body.kind === BODY_INLINE) putInline(store.tables, body.id, inline ?? Buffer.alloc(0));
  else if (body.kind === BODY_FILE) addFile(store, body.id, body.fileBytes);
}

export function addFile(store: Store, id: number, fileBytes: number): void {
  putCount(store, id, 1, fileBytes);
}

function putCount(store: Store, id: number, count: number, fileBytes: number): void {
  const value = Buffer.allocUnsafe(COUNT_BYTES + 8);
  value.writeUInt32BE(count, 0);
  writeU64(value, fileBytes, COUNT_BYTES);
  store.tables.bodies.putSync(sequenceKey(id), value);
}

export function shareFile(store: Store, id: number): void {
  const known = store.tables.bodies.getBinaryFast(sequenceKey(id));
  if (!known) throw new Error(`body ${id} has no record`);
  putCount(store, id, known.readUInt32BE(0) + 1, readU64(known, COUNT_BYTES));
}

function releaseFile(store: Store, id: number): void {
  const { bodies, garbage } = store.tables;
  const key = sequenceKey(id);
  const known = bodies.getBinaryFast(key);
  // A body that was lost must not keep its object from being deleted; the doctor tells of it.
  if (!known) return;
  const count = known.readUInt32BE(0);
  if (count > 1) {
    putCount(store, id, count - 1, readU64(known, COUNT_BYTES));
    return;
  }
  bodies.removeSync(key);
  garbage.putSync(key, sequenceKey(store.sequence));
}

/** The body of a copy: the same bytes once more. Inline ones are copied, which costs less than counting them would. */
export function shareBody(store: Store, record: Buffer): BodyRef {
  const body = bodyOf(record);
  const sizeBytes = sizeOf(record);
  switch (body.kind) {
    case BODY_EMPTY:
      return body;
    case BODY_INLINE: {
      const id = store.nextSequence();
      putInline(store.tables, id, readInline(store.tables, body.id, sizeBytes));
      return { ...body, id };
    }
    case BODY_FILE:
      shareFile(store, body.id);
      return body;
    case BODY_MANIFEST: {
      const key = sequenceKey(body.id);
      const count = copyOf(store.tables.manifests, key);
      if (!count) throw new Error(`manifest ${body.id} is not there`);
      count.writeUInt32BE(count.readUInt32BE(0) + 1, 0);
      store.tables.manifests.putSync(key, count);
      return body;
    }
  }
}

/** Lets go of a version's bytes. */
export function releaseBody(store: Store, record: Buffer): void {
  const body = bodyOf(record);
  if (body.kind === BODY_INLINE) removeInline(store.tables, body.id, sizeOf(record));
  else if (body.kind === BODY_FILE) releaseFile(store, body.id);
  else if (body.kind === BODY_MANIFEST) releaseManifest(store, body.id);
}

function releaseManifest(store: Store, id: number): void {
  const { manifests } = store.tables;
  const count = copyOf(manifests, sequenceKey(id));
  const manifest = copyOf(manifests, manifestKey(id));
  if (!count || !manifest) return;
  if (count.readUInt32BE(0) > 1) {
    count.writeUInt32BE(count.readUInt32BE(0) - 1, 0);
    manifests.putSync(sequenceKey(id), count);
    return;
  }
  manifests.removeSync(sequenceKey(id));
  manifests.removeSync(manifestKey(id));
  for (const part of decodeManifest(manifest)) releaseSegments(store, part.segments);
}

export function releaseSegments(store: Store, segments: readonly Segment[]): void {
  for (const segment of segments) {
    if (segment.kind === BODY_INLINE) removeInline(store.tables, segment.id, segment.lengthBytes);
    else releaseFile(store, segment.id);
  }
}

export function addManifest(store: Store, id: number, manifest: Buffer): void {
  const count = Buffer.allocUnsafe(COUNT_BYTES);
  count.writeUInt32BE(1, 0);
  store.tables.manifests.putSync(sequenceKey(id), count);
  store.tables.manifests.putSync(manifestKey(id), manifest);
}
