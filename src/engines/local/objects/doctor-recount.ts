import type { BucketUsage } from "../../../model/bucket.js";
import { decodeUsage } from "./bucket-records.js";
import { readU64 } from "./codec.js";
import { inlineRows } from "./inline-bodies.js";
import { bucketIdOf, SEQUENCE_BYTES, UPLOAD_ID_BYTES, unescaped } from "./keys.js";
import { decodeManifest, decodePart, type Segment } from "./manifests.js";
import { BODY_FILE, BODY_INLINE, BODY_MANIFEST, type BodyRef, bodyOf, isDeleteMarker, sizeOf } from "./records.js";
import type { Tables } from "./tables.js";

/** How often something is referred to, and how often its record says so. */
export interface Counted {
  references: number;
  recorded: number | undefined;
}

export interface CountedBody extends Counted {
  /** Of the body itself, as whoever refers to it says. */
  sizeBytes: number;
}

/** What the metadata says of itself, counted anew from versions and parts. */
export interface Recount {
  /** By bucket name: as it is kept, and as it is. */
  readonly usages: ReadonlyMap<string, { kept: BucketUsage | undefined; counted: BucketUsage }>;
  readonly bodies: ReadonlyMap<number, CountedBody>;
  readonly manifests: ReadonlyMap<number, Counted>;
  /** Small bodies: references whose bytes are not there, and rows beyond all references. */
  readonly inlineMissing: readonly number[];
  readonly inlineLeft: number;
  /** Upload ids of parts whose upload is not there. */
  readonly lostParts: ReadonlySet<string>;
  /** Ids of buckets that are not there and still have rows. */
  readonly lostBuckets: ReadonlySet<number>;
  readonly objects: number;
}

/** Reads all of it at one moment: in one turn of the event loop, which is one read transaction. */
export function recount(tables: Tables): Recount {
  tables.root.resetReadTxn();
  return new Counting(tables).run();
}

const none = (): BucketUsage => ({ objects: 0, bytes: 0, deleteMarkers: 0, uploads: 0 });

class Counting {
  readonly #tables: Tables;
  readonly #usages = new Map<number, BucketUsage>();
  readonly #bodies = new Map<number, CountedBody>();
  readonly #manifests = new Map<number, Counted>();
  readonly #bucketOfUpload = new Map<string, number>();
  readonly #inlineMissing: number[] = [];
  #inlineRows = 0;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  run(): Recount {
    const { objects, versions, uploads, inline, inlineTails } = this.#tables;
    for (const { key, value } of objects.getRange({})) this.#version(bucketIdOf(key), value);
    for (const { key, value } of versions.getRange({})) this.#version(bucketIdOf(key), value);
    for (const { key } of uploads.getRange({})) {
      const bucketId = bucketIdOf(unescaped(key));
      this.#usage(bucketId).uploads++;
      this.#bucketOfUpload.set(key.toString("base64url", key.length - UPLOAD_ID_BYTES), bucketId);
    }
    const lostParts = this.#parts();
    this.#records();
    const named = this.#named();
    let count = 0;
    for (const usage of this.#usages.values()) count += usage.objects;
    return {
      usages: named.usages,
      bodies: this.#bodies,
      manifests: this.#manifests,
      inlineMissing: this.#inlineMissing,
      inlineLeft: rowsOf(inline) + rowsOf(inlineTails) - this.#inlineRows,
      lostParts,
      lostBuckets: named.lostBuckets,
      objects: count,
    };
  }

  #usage(bucketId: number): BucketUsage {
    const known = this.#usages.get(bucketId);
    if (known) return known;
    const fresh = none();
    this.#usages.set(bucketId, fresh);
    return fresh;
  }

  #version(bucketId: number, record: Buffer): void {
    const usage = this.#usage(bucketId);
    if (isDeleteMarker(record)) usage.deleteMarkers++;
    else {
      usage.objects++;
      usage.bytes += sizeOf(record);
      this.#reference(bodyOf(record), sizeOf(record));
    }
  }

  #reference(body: BodyRef | Segment, sizeBytes: number): void {
    if (body.kind === BODY_INLINE) {
      const rows = inlineRows(this.#tables, body.id, sizeBytes);
      if (rows === undefined) this.#inlineMissing.push(body.id);
      else this.#inlineRows += rows;
    } else if (body.kind === BODY_FILE) {
      const known = this.#bodies.get(body.id);
      if (known) known.references++;
      else this.#bodies.set(body.id, { references: 1, recorded: undefined, sizeBytes: body.fileBytes });
    } else if (body.kind === BODY_MANIFEST) {
      const known = this.#manifests.get(body.id);
      if (known) known.references++;
      else this.#manifests.set(body.id, { references: 1, recorded: undefined });
    }
  }

  #parts(): Set<string> {
    const lost = new Set<string>();
    for (const { key, value } of this.#tables.parts.getRange({})) {
      const uploadId = key.toString("base64url", 0, UPLOAD_ID_BYTES);
      const bucketId = this.#bucketOfUpload.get(uploadId);
      if (bucketId === undefined) lost.add(uploadId);
      const part = decodePart(value);
      if (bucketId !== undefined) this.#usage(bucketId).bytes += part.sizeBytes;
      for (const segment of part.segments) this.#reference(segment, segment.lengthBytes);
    }
    return lost;
  }

  /** What the tables of bytes say; a manifest's own segments are references as well. */
  #records(): void {
    for (const { key, value } of this.#tables.manifests.getRange({})) {
      const id = readU64(key, 0);
      if (key.length === SEQUENCE_BYTES) {
        const counted = this.#manifests.get(id) ?? { references: 0, recorded: undefined };
        this.#manifests.set(id, { ...counted, recorded: value.readUInt32BE(0) });
      } else
        for (const { segments } of decodeManifest(value))
          for (const segment of segments) this.#reference(segment, segment.lengthBytes);
    }
    for (const { key, value } of this.#tables.bodies.getRange({})) {
      const id = readU64(key, 0);
      const counted = this.#bodies.get(id) ?? { references: 0, recorded: undefined, sizeBytes: readU64(value, 4) };
      this.#bodies.set(id, { ...counted, recorded: value.readUInt32BE(0) });
    }
  }

  #named() {
    const usages = new Map<string, { kept: BucketUsage | undefined; counted: BucketUsage }>();
    const lostBuckets = new Set(this.#usages.keys());
    for (const { key, value } of this.#tables.bucketIds.getRange({})) {
      const bucketId = bucketIdOf(key);
      const kept = this.#tables.usage.getBinaryFast(key);
      usages.set(value.toString(), {
        kept: kept && decodeUsage(kept),
        counted: this.#usages.get(bucketId) ?? none(),
      });
      lostBuckets.delete(bucketId);
    }
    return { usages, lostBuckets };
  }
}

function rowsOf(table: Tables["inline"]): number {
  let rows = 0;
  for (const _ of table.getKeys({})) rows++;
  return rows;
}
