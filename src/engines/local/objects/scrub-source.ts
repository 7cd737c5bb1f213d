import type { ScrubItem, ScrubSource, StoredBody } from "./bodies/types.js";
import { decodeUsage } from "./bucket-records.js";
import { readInline } from "./inline-bodies.js";
import { after, behindPrefix, bucketIdKey, bucketIdOf, keyText, partKey, UPLOAD_ID_BYTES, unescaped } from "./keys.js";
import { decodePart, type Segment } from "./manifests.js";
import { contentOf } from "./object-reads.js";
import { type Pins, problemOf } from "./open-object.js";
import type { MetadataReader } from "./reader.js";
import { BODY_INLINE, bodyOf, isDeleteMarker, sizeOf, versionIdOf } from "./records.js";
import { copyOf, type Table } from "./tables.js";

/** Rows that are read in one turn: no read transaction stays open while bytes are read. */
const BATCH = 200;

interface Row {
  readonly tableKey: Buffer;
  readonly value: Buffer;
}

/** Every version of one bucket or of all, and the parts of unfinished uploads. */
export function scrubSource(reader: MetadataReader, pins: Pins, bucket: string | null): ScrubSource {
  const { tables } = reader;
  reader.refresh();
  const prefix = bucket === null ? Buffer.alloc(0) : bucketIdKey(reader.existingBucket(bucket).id);
  return { totalObjects: countObjects(reader, bucket), items };

  function* items(): Generator<ScrubItem> {
    for (const row of rows(reader, tables.objects, prefix)) yield versionItem(row, tables.objects, row.tableKey);
    for (const row of rows(reader, tables.versions, prefix))
      if (!isDeleteMarker(row.value)) yield versionItem(row, tables.versions, unescaped(row.tableKey));
    for (const row of rows(reader, tables.uploads, prefix)) {
      const uploadId = row.tableKey.subarray(row.tableKey.length - UPLOAD_ID_BYTES);
      for (const part of rows(reader, tables.parts, uploadId)) yield partItem(part, row, uploadId);
    }
  }

  function versionItem(row: Row, table: Table, objectKey: Buffer): ScrubItem {
    const sizeBytes = sizeOf(row.value);
    reader.refresh();
    let segments: readonly Segment[] = [];
    let problem: string | undefined;
    try {
      segments = contentOf(reader, bodyOf(row.value), sizeBytes).segments;
    } catch (error) {
      problem = (error as Error).message;
    }
    return item(objectKey, versionIdOf(row.value), sizeBytes, segments, problem, row, table);
  }

  function partItem(part: Row, upload: Row, uploadId: Buffer): ScrubItem {
    const { number, sizeBytes, segments } = decodePart(part.value);
    const name = `upload ${uploadId.toString("base64url")}, part ${number}`;
    const row = { tableKey: partKey(uploadId, number), value: part.value };
    return item(unescaped(upload.tableKey), name, sizeBytes, segments, undefined, row, tables.parts);
  }

  function item(
    objectKey: Buffer,
    versionId: string,
    sizeBytes: number,
    segments: readonly Segment[],
    problem: string | undefined,
    row: Row,
    table: Table,
  ): ScrubItem {
    const bodies = new Map<number, StoredBody>();
    for (const segment of segments)
      if (segment.kind !== BODY_INLINE) bodies.set(segment.id, { bodyId: segment.id, sizeBytes: segment.fileBytes });
    const unpin = pins.pin([...bodies.keys()]);
    return {
      bucket: tables.bucketIds.getBinary(bucketIdKey(bucketIdOf(objectKey)))?.toString() ?? "",
      key: keyText(objectKey),
      versionId,
      sizeBytes,
      bodies: [...bodies.values()],
      inline: () => problem ?? inlineProblem(reader, segments),
      current() {
        reader.refresh();
        return copyOf(table, row.tableKey)?.equals(row.value) ?? false;
      },
      close: unpin,
    };
  }
}

function inlineProblem(reader: MetadataReader, segments: readonly Segment[]): string | undefined {
  reader.refresh();
  for (const segment of segments) {
    if (segment.kind !== BODY_INLINE) continue;
    const problem = problemOf(
      readInline(reader.tables, segment.id, segment.lengthBytes),
      segment.check,
      segment.lengthBytes,
    );
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function* rows(reader: MetadataReader, table: Table, prefix: Buffer): Generator<Row> {
  const end = prefix.length === 0 ? undefined : behindPrefix(prefix);
  let start = prefix;
  for (;;) {
    reader.refresh();
    const batch: Row[] = [];
    const range = table.getRange({ start, limit: BATCH, ...(end ? { end } : {}) });
    for (const { key, value } of range) batch.push({ tableKey: Buffer.from(key), value: Buffer.from(value) });
    yield* batch;
    const last = batch.at(-1);
    if (batch.length < BATCH || !last) return;
    start = after(last.tableKey);
  }
}

function countObjects(reader: MetadataReader, bucket: string | null): number {
  if (bucket !== null) return reader.usage(reader.existingBucket(bucket)).objects;
  let objects = 0;
  for (const { value } of reader.tables.usage.getRange({})) objects += decodeUsage(value).objects;
  return objects;
}
