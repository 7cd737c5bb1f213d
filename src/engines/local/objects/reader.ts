import { refused } from "../../../errors/storage-error.js";
import type { Bucket, BucketUsage } from "../../../model/bucket.js";
import type { ObjectVersion } from "../../../model/object.js";
import type { CopyObject } from "../../object-engine.js";
import { bucketIdIn, bucketRevisionIn, decodeBucket, decodeUsage, MAX_NAME_BYTES } from "./bucket-records.js";
import { bucketIdKey, objectKey } from "./keys.js";
import { findVersion, isLatest, newestInVersions } from "./lookup.js";
import { type Content, decodeManifest, manifestKey } from "./manifests.js";
import type { SourceRequest } from "./protocol.js";
import { bodyOf, decodeVersion, isDeleteMarker, modifiedOf, sequenceOf, versionIdOf } from "./records.js";
import { copyOf, type Tables } from "./tables.js";

/** A bucket as readers know it. */
export interface KnownBucket {
  readonly id: number;
  readonly bucket: Bucket;
}

/** A version that was found. `record` is one's own. */
export interface FoundVersion {
  readonly known: KnownBucket;
  readonly record: Buffer;
  readonly isLatest: boolean;
}

const MAX_CACHED_BUCKETS = 10_000;
/** Some 10 MiB. */
const MAX_CACHED_SEGMENTS = 30_000;

/**
 * Reads the metadata in this process. Every method but those that say otherwise looks at the newest commit: LMDB's read
 * transaction is begun anew, which costs less than a microsecond, so that a write that anyone was told of is seen.
 */
export class MetadataReader {
  readonly tables: Tables;
  readonly #buckets = new Map<string, KnownBucket>();
  readonly #manifests = new Map<number, Content>();
  #cachedSegments = 0;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  /** From here to the end of this turn of the event loop, reads see one state: the newest. */
  refresh(): void {
    this.tables.root.resetReadTxn();
  }

  /** The same value while its revision stays. In the state that refresh() chose. */
  bucket(name: string): KnownBucket | undefined {
    const key = Buffer.from(name);
    if (key.length === 0 || key.length > MAX_NAME_BYTES) return undefined;
    const record = this.tables.buckets.getBinaryFast(key);
    if (record === undefined) {
      this.#buckets.delete(name);
      return undefined;
    }
    const known = this.#buckets.get(name);
    if (known && known.bucket.revision === bucketRevisionIn(record) && known.id === bucketIdIn(record)) return known;
    if (this.#buckets.size >= MAX_CACHED_BUCKETS) this.#buckets.clear();
    const read = { id: bucketIdIn(record), bucket: decodeBucket(record) };
    this.#buckets.set(name, read);
    return read;
  }

  /** @throws no-such-bucket */
  existingBucket(name: string): KnownBucket {
    const known = this.bucket(name);
    if (!known) throw refused("no-such-bucket", `bucket ${JSON.stringify(name)} is not there`);
    return known;
  }

  /** In name order. */
  buckets(request: { prefix: string; after: string; limit: number; ownerId?: string }): Bucket[] {
    const { prefix, ownerId, limit } = request;
    // A zero is in no name: right behind `after`.
    const behind = request.after === "" ? "\u0001" : `${request.after}\0`;
    const start = Buffer.from(behind > prefix ? behind : prefix).subarray(0, MAX_NAME_BYTES + 1);
    const found: Bucket[] = [];
    for (const key of this.tables.buckets.getKeys({ start })) {
      const name = key.toString();
      if (found.length === limit || !name.startsWith(prefix)) break;
      const bucket = this.bucket(name)?.bucket;
      if (bucket && (ownerId === undefined || bucket.ownerId === ownerId)) found.push(bucket);
    }
    return found;
  }

  /** Decoded once: a manifest never changes, and a client that reads in ranges, or part by part, asks for it each time. */
  manifest(id: number): Content {
    const known = this.#manifests.get(id);
    if (known) return known;
    const bytes = copyOf(this.tables.manifests, manifestKey(id));
    if (!bytes) throw new Error(`manifest ${id} is not there`);
    const parts = decodeManifest(bytes);
    const read = { parts, segments: parts.flatMap(({ segments }) => segments) };
    this.#cachedSegments += read.segments.length;
    this.#manifests.set(id, read);
    // The oldest go first; the newest stays even alone beyond the limit.
    for (const [old, { segments }] of this.#manifests) {
      if (this.#cachedSegments <= MAX_CACHED_SEGMENTS || old === id) break;
      this.#manifests.delete(old);
      this.#cachedSegments -= segments.length;
    }
    return read;
  }

  usage({ id }: KnownBucket): BucketUsage {
    const usage = this.tables.usage.getBinaryFast(bucketIdKey(id));
    return usage ? decodeUsage(usage) : { objects: 0, bytes: 0, deleteMarkers: 0, uploads: 0 };
  }

  /** @throws no-such-key, no-such-version, delete-marker */
  version(known: KnownBucket, key: string, versionId: string | undefined): FoundVersion {
    const tableKey = objectKey(known.id, key);
    if (versionId === undefined) return this.#current(known, tableKey);
    const found = findVersion(this.tables, tableKey, versionId);
    if (!found) throw refused("no-such-version", `the key has no version ${JSON.stringify(versionId)}`);
    if (isDeleteMarker(found.record))
      throw refused("delete-marker", "the version is a delete marker", { deleteMarker: markerOf(found.record) });
    return { known, record: found.record, isLatest: isLatest(this.tables, tableKey, found) };
  }

  #current(known: KnownBucket, key: Buffer): FoundVersion {
    const record = copyOf(this.tables.objects, key);
    if (record) return { known, record, isLatest: true };
    const marker = known.bucket.versioning === "off" ? undefined : newestInVersions(this.tables, key)?.record;
    throw refused("no-such-key", "the key is not there", marker ? { deleteMarker: markerOf(marker) } : {});
  }
}

/**
 * Refuses what cannot fit before its bytes are read; the writer decides exactly.
 *
 * @throws quota-exceeded
 */
export function checkEarly(reader: MetadataReader, known: KnownBucket, bytes: number): void {
  const { name, quotaBytes } = known.bucket;
  if (quotaBytes === null || bytes === 0) return;
  // What it replaces is given back: of a bucket that holds more than it may by now, as much as it holds.
  if (bytes > Math.max(quotaBytes, reader.usage(known).bytes))
    throw refused("quota-exceeded", `bucket ${name} may hold ${quotaBytes} bytes, not ${bytes}`);
}

/** @throws no-such-bucket, no-such-key; conflict when another version is there than the caller looked at */
export function findSource(reader: MetadataReader, source: CopyObject["source"]) {
  const { bucket, key, versionId, generation } = source;
  const known = reader.existingBucket(bucket);
  const tableKey = objectKey(known.id, key);
  const found = findVersion(reader.tables, tableKey, versionId);
  if (!found) throw refused("no-such-key", "the source is not there any more");
  const version = versionOf({ known, record: found.record, isLatest: false }, key);
  if (version.generation !== generation || version.deleteMarker)
    throw refused("conflict", "the source has changed since it was looked at; try again");
  const message: SourceRequest = { key: tableKey, versionId, sequence: sequenceOf(found.record) };
  return { version, body: bodyOf(found.record), message };
}

export const versionOf = ({ known, record, isLatest }: FoundVersion, key: string): ObjectVersion =>
  decodeVersion(record, key, isLatest, known.bucket.ownerId);

const markerOf = (record: Buffer) => ({ versionId: versionIdOf(record), lastModifiedMs: modifiedOf(record) });
