import { invalid, refused } from "../../../../errors/storage-error.js";
import { readU64 } from "../codec.js";
import { putInline } from "../inline-bodies.js";
import { behindPrefix, partKey, SEQUENCE_BYTES, sequenceKey, UPLOAD_ID_BYTES, uploadKey } from "../keys.js";
import { decodePart, encodePart, partSequence, type Segment, type StoredPart } from "../manifests.js";
import type { CompleteRequest, Decided, Operations, PartRequest } from "../protocol.js";
import { BODY_FILE, BODY_INLINE, setBodyId } from "../records.js";
import { copyOf } from "../tables.js";
import { decodeCompleted, encodeCompleted, setInitiated } from "../upload-records.js";
import { addFile, addManifest, releaseSegments, shareFile } from "./bodies.js";
import { checkOpen } from "./generations.js";
import { sourceRecord } from "./objects.js";
import { checkQuota, type Store } from "./store.js";
import { install, newVersion, planReplacement } from "./versions.js";

export function createUpload(store: Store, { key, upload }: Operations["createUpload"]["request"]) {
  const state = store.bucketOf(key);
  const uploadId = Buffer.concat([sequenceKey(store.nextSequence()), store.random()]);
  setInitiated(upload, store.nowMs);
  store.tables.uploads.putSync(uploadKey(key, uploadId), upload);
  store.use(state, 0, 0);
  state.usage.uploads++;
  return { uploadId, initiatedMs: store.nowMs };
}

export function putPart(store: Store, request: PartRequest): { modifiedMs: number } {
  const { key, uploadId, partNumber, inline, source } = request;
  const { tables } = store;
  const state = store.bucketOf(key);
  checkUpload(store, key, uploadId);
  if (source) sourceRecord(store, source);
  const part = decodePart(request.part);
  const rowKey = partKey(uploadId, partNumber);
  const stored = copyOf(tables.parts, rowKey);
  const old = stored && decodePart(stored);
  const moreBytes = part.sizeBytes - (old?.sizeBytes ?? 0);
  checkQuota(state, 0, moreBytes);
  if (!source) for (const { kind, id } of part.segments) if (kind === BODY_FILE) checkOpen(store, id);
  const sequence = store.nextSequence();
  const segments = placed(store, part.segments, inline, source !== null);
  if (old) releaseSegments(store, old.segments);
  tables.parts.putSync(rowKey, encodePart({ ...part, sequence, lastModifiedMs: store.nowMs, segments }));
  store.use(state, 0, moreBytes);
  return { modifiedMs: store.nowMs };
}

/** Inline bytes get a place; files that come from elsewhere get one more reference, and a file of the part's own its first. */
function placed(store: Store, segments: readonly Segment[], inline: readonly Buffer[], shared: boolean): Segment[] {
  let next = 0;
  return segments.map((segment) => {
    if (segment.kind !== BODY_INLINE) {
      if (shared) shareFile(store, segment.id);
      else addFile(store, segment.id, segment.fileBytes);
      return segment;
    }
    const id = store.nextSequence();
    putInline(store.tables, id, inline[next++] as Buffer);
    return { ...segment, id };
  });
}

/** @throws no-such-upload */
function checkUpload(store: Store, key: Buffer, uploadId: Buffer): void {
  if (!store.tables.uploads.doesExist(uploadKey(key, uploadId)))
    throw refused("no-such-upload", "the upload is not there: it may have been completed or aborted");
}

const PART_ENTRY_BYTES = 2 + SEQUENCE_BYTES;

/** @throws no-such-upload; conflict when a part is not what the caller read: it reads again */
export function complete(store: Store, request: CompleteRequest): Decided {
  const { key, uploadId, record, manifest, preconditions } = request;
  const state = store.bucketOf(key);
  checkUpload(store, key, uploadId);
  const left = partsLeft(store, uploadId, request.parts);
  const plan = planReplacement(store, state, key, preconditions);
  checkQuota(state, 1 - plan.freedObjects, 0);
  const decided = newVersion(store, state);
  setBodyId(record, decided.sequence);
  addManifest(store, decided.sequence, manifest);
  const leftBytes = removeParts(store, uploadId, left);
  store.tables.uploads.removeSync(uploadKey(key, uploadId));
  install(store, plan, record, decided);
  store.use(state, 0, -leftBytes);
  state.usage.uploads--;
  remember(store, request);
  return decided;
}

/** The numbers of parts that the completion does not name: they go. */
function partsLeft(store: Store, uploadId: Buffer, wanted: Buffer): Set<number> {
  const sequences = new Map<number, number>();
  for (let at = 0; at < wanted.length; at += PART_ENTRY_BYTES)
    sequences.set(wanted.readUInt16BE(at), readU64(wanted, at + 2));
  if (sequences.size === 0) throw invalid("an upload is completed with one part at least");
  const left = new Set<number>();
  for (const { key, value } of partRows(store, uploadId)) {
    const number = key.readUInt16BE(UPLOAD_ID_BYTES);
    const sequence = sequences.get(number);
    if (sequence === undefined) left.add(number);
    else if (sequence !== partSequence(value)) break;
    else sequences.delete(number);
  }
  if (sequences.size > 0) throw refused("conflict", "a part has changed since it was looked at; try again");
  return left;
}

function partRows(store: Store, uploadId: Buffer) {
  const end = behindPrefix(uploadId);
  return store.tables.parts.getRange({ start: uploadId, ...(end ? { end } : {}) });
}

/** Of the parts that are let go of, answers their bytes; the others' bytes belong to the object now. */
function removeParts(store: Store, uploadId: Buffer, released: "all" | ReadonlySet<number>): number {
  const rows = [...partRows(store, uploadId)];
  let bytes = 0;
  for (const { key, value } of rows) {
    store.tables.parts.removeSync(key);
    if (released !== "all" && !released.has(key.readUInt16BE(UPLOAD_ID_BYTES))) continue;
    const part: StoredPart = decodePart(value);
    releaseSegments(store, part.segments);
    bytes += part.sizeBytes;
  }
  return bytes;
}

// A client that lost the answer asks again within its timeouts.
const REMEMBERED_MS = 24 * 3600 * 1000;
const FORGOTTEN_AT_ONCE = 16;

function remember(store: Store, { key, uploadId, fingerprint, record }: CompleteRequest): void {
  const { completed, completions } = store.tables;
  for (const { key: at, value } of [...completions.getRange({ limit: FORGOTTEN_AT_ONCE })]) {
    const old = copyOf(completed, value);
    if (old && decodeCompleted(old).atMs > store.nowMs - REMEMBERED_MS) break;
    completions.removeSync(at);
    completed.removeSync(value);
  }
  completed.putSync(uploadId, encodeCompleted({ atMs: store.nowMs, fingerprint, key, record }));
  completions.putSync(sequenceKey(store.nextSequence()), uploadId);
}

export function abort(store: Store, { key, uploadId }: Operations["abort"]["request"]): null {
  const state = store.bucketOf(key);
  checkUpload(store, key, uploadId);
  const bytes = removeParts(store, uploadId, "all");
  store.tables.uploads.removeSync(uploadKey(key, uploadId));
  store.use(state, 0, -bytes);
  state.usage.uploads--;
  return null;
}
