import { invalid } from "../../../errors/storage-error.js";
import { NULL_VERSION, type Upload, type VersionSummary } from "../../../model/object.js";
import type { ListItem, ListPage, ListRequest, ListUploadsRequest, ListVersionsRequest } from "../../object-engine.js";
import { readU64 } from "./codec.js";
import {
  after,
  BUCKET_ID_BYTES,
  behindPrefix,
  escaped,
  escapedPrefix,
  idBytes,
  MAX_SEQUENCE,
  prefixKey,
  UPLOAD_ID_BYTES,
  unescaped,
  uploadKey,
  versionKey,
} from "./keys.js";
import { commonPrefix } from "./listed-objects.js";
import { Cursor } from "./listing-cursor.js";
import { findVersion, isLatest } from "./lookup.js";
import type { KnownBucket } from "./reader.js";
import { decodeSummary, sequenceOf } from "./records.js";
import type { Tables } from "./tables.js";
import { decodeUpload } from "./upload-records.js";

// Longer prefixes and markers are cut: LMDB is asked with possible keys only. No key is as long, so nothing comes to lie
// on the wrong side.
const MAX_BOUND_BYTES = 1030;

/** The `objects` key of a prefix or a marker, or where it would lie. */
function bound(bucketId: number, text: string): Buffer {
  const key = prefixKey(bucketId, text);
  return key.length > MAX_BOUND_BYTES ? key.subarray(0, MAX_BOUND_BYTES) : key;
}

/** Behind all keys that begin with the text: as behindPrefix(bound(...)), with one buffer less. UTF-8 has no byte 0xff. */
function behindText(bucketId: number, text: string): Buffer {
  const key = bound(bucketId, text);
  key[key.length - 1] = (key[key.length - 1] as number) + 1;
  return key;
}

const textOf = (key: Buffer): string => key.toString("utf8", BUCKET_ID_BYTES);
const later = (a: Buffer, b: Buffer): Buffer => (Buffer.compare(a, b) > 0 ? a : b);

type Grouping = Pick<ListRequest, "prefix" | "delimiter">;

/**
 * What a marker skips as a whole: itself, or the common prefix that it lies under. That one is not behind the marker, so
 * neither is anything under it (S3: "keys and common prefixes after").
 */
function markedPrefix(marker: string, { prefix, delimiter }: Grouping): string | undefined {
  return marker.startsWith(prefix) ? commonPrefix(marker, prefix, delimiter) : undefined;
}

/**
 * Current objects in the order of their keys' bytes. One seek for each common prefix: the cost follows what is answered,
 * not what lies under it.
 */
export function listObjects(tables: Tables, known: KnownBucket, request: ListRequest): ListPage<VersionSummary> {
  const { prefix, delimiter, limit } = request;
  const atPrefix = bound(known.id, prefix);
  const end = behindPrefix(atPrefix);
  const skipped = markedPrefix(request.after, request);
  let start: Buffer | undefined = atPrefix;
  if (skipped !== undefined) start = behindPrefix(bound(known.id, skipped));
  else if (request.after !== "") start = later(atPrefix, after(bound(known.id, request.after)));
  const shown = { prefix, delimiter, bucketOwnerId: known.bucket.ownerId };
  const items: ListItem<VersionSummary>[] = [];
  while (start) {
    // One more than the page has room for says whether it is truncated.
    const rows = tables.listed.range(shown, start, end, limit + 1 - items.length);
    start = undefined;
    for (const { key, value } of rows) {
      if (items.length === limit) return { items, truncated: true };
      if (value) {
        items.push({ entry: value });
        continue;
      }
      const common = commonPrefix(key, prefix, delimiter) as string;
      items.push({ prefix: common });
      start = behindText(known.id, common);
      break;
    }
  }
  return { items, truncated: false };
}

/** All versions and delete markers: by key, within a key the newest first. */
export function listVersions(
  tables: Tables,
  known: KnownBucket,
  request: ListVersionsRequest,
): ListPage<VersionSummary> {
  const atPrefix = bound(known.id, request.prefix);
  const end = behindPrefix(atPrefix);
  const starts = versionStarts(tables, known.id, request, atPrefix);
  const objects = new Cursor(tables.objects, starts.objects, end, (key) => key);
  const versions = new Cursor(tables.versions, starts.versions, behindPrefix(escapedPrefix(atPrefix)), unescaped);
  try {
    return mergeVersions(tables, known, request, objects, versions);
  } finally {
    objects.close();
    versions.close();
  }
}

/** Where both tables are read from. Behind a version, its key's older versions follow. */
function versionStarts(tables: Tables, bucketId: number, request: ListVersionsRequest, atPrefix: Buffer) {
  const { keyMarker, versionIdMarker } = request;
  const fromPrefix = { objects: atPrefix, versions: escapedPrefix(atPrefix) };
  if (keyMarker === "") return fromPrefix;
  const skipped = markedPrefix(keyMarker, request);
  if (skipped !== undefined) {
    const behind = behindPrefix(bound(bucketId, skipped)) as Buffer;
    return { objects: behind, versions: behindPrefix(escapedPrefix(bound(bucketId, skipped))) as Buffer };
  }
  const marked = bound(bucketId, keyMarker);
  const sequence = versionIdMarker === "" ? 0 : sequenceBefore(tables, marked, versionIdMarker);
  // Where newer versions were removed, the current object may be one that the marked version stood before.
  const current = sequence === 0 ? undefined : tables.objects.getBinaryFast(marked);
  const resumes = current !== undefined && sequenceOf(current) < sequence;
  return {
    objects: later(fromPrefix.objects, resumes ? marked : after(marked)),
    versions: later(fromPrefix.versions, after(versionKey(marked, sequence))),
  };
}

/**
 * A page goes on with the versions that are older than this; 0 for none. The marked version need not be there any more: a
 * client that removes what a page named asks on with that page's markers. Of a null version that is gone nobody knows the
 * place: its key begins anew.
 */
function sequenceBefore(tables: Tables, key: Buffer, versionId: string): number {
  const id = idBytes(versionId);
  if (id) return readU64(id, 0);
  if (versionId !== NULL_VERSION) return 0;
  const found = findVersion(tables, key, versionId);
  return found ? sequenceOf(found.record) : MAX_SEQUENCE;
}

function mergeVersions(
  tables: Tables,
  known: KnownBucket,
  { prefix, delimiter, limit }: ListVersionsRequest,
  objects: Cursor,
  versions: Cursor,
): ListPage<VersionSummary> {
  const items: ListItem<VersionSummary>[] = [];
  let last: Buffer | undefined;
  for (;;) {
    const cursor = firstOf(objects, versions);
    const row = cursor?.row;
    if (!cursor || !row) return { items, truncated: false };
    if (items.length === limit) return { items, truncated: true };
    const key = textOf(row.key);
    const common = commonPrefix(key, prefix, delimiter);
    if (common !== undefined) {
      items.push({ prefix: common });
      const place = bound(known.id, common);
      objects.seek(behindPrefix(place) as Buffer);
      versions.seek(behindPrefix(escapedPrefix(place)) as Buffer);
      continue;
    }
    const found = { record: row.value, tableKey: cursor === objects ? undefined : row.tableKey };
    const first = !last?.equals(row.key);
    last = row.key;
    const latest = first && isLatest(tables, row.key, found);
    items.push({ entry: decodeSummary(row.value, key, latest, known.bucket.ownerId) });
    cursor.next();
  }
}

/** The current object is newer than all of its key's in `versions`. */
function firstOf(objects: Cursor, versions: Cursor): Cursor | undefined {
  if (!objects.row) return versions.row && versions;
  if (!versions.row) return objects;
  return Buffer.compare(objects.row.key, versions.row.key) <= 0 ? objects : versions;
}

/** Unfinished uploads by key, within a key the oldest first. */
export function listUploads(tables: Tables, known: KnownBucket, request: ListUploadsRequest): ListPage<Upload> {
  const { prefix, delimiter, limit } = request;
  const atPrefix = escapedPrefix(bound(known.id, prefix));
  const cursor = new Cursor(
    tables.uploads,
    later(atPrefix, uploadsStart(known.id, request) ?? atPrefix),
    behindPrefix(atPrefix),
    unescaped,
  );
  try {
    const items: ListItem<Upload>[] = [];
    for (; cursor.row; ) {
      if (items.length === limit) return { items, truncated: true };
      const { key: objectKey, tableKey, value } = cursor.row;
      const key = textOf(objectKey);
      const common = commonPrefix(key, prefix, delimiter);
      if (common === undefined) {
        const uploadId = tableKey.toString("base64url", tableKey.length - UPLOAD_ID_BYTES);
        items.push({ entry: decodeUpload(value, key, uploadId) });
        cursor.next();
      } else {
        items.push({ prefix: common });
        cursor.seek(behindPrefix(escapedPrefix(bound(known.id, common))) as Buffer);
      }
    }
    return { items, truncated: false };
  } finally {
    cursor.close();
  }
}

function uploadsStart(bucketId: number, request: ListUploadsRequest): Buffer | undefined {
  const { keyMarker, uploadIdMarker } = request;
  if (keyMarker === "") return undefined;
  const skipped = markedPrefix(keyMarker, request);
  if (skipped !== undefined) return behindPrefix(escapedPrefix(bound(bucketId, skipped)));
  const marked = bound(bucketId, keyMarker);
  if (uploadIdMarker === "") return behindPrefix(escaped(marked, 0));
  const id = idBytes(uploadIdMarker);
  if (!id) throw invalid("the marker was never an upload's id");
  return after(uploadKey(marked, id));
}
