import { invalid, refused, StorageError } from "../../../errors/storage-error.js";
import {
  MAX_OBJECT_BYTES,
  MAX_PART_BYTES,
  MAX_PARTS,
  type ObjectPart,
  type ObjectVersion,
  type Upload,
} from "../../../model/object.js";
import { step } from "../../../runtime/steps.js";
import { chosenParts } from "../../chosen-parts.js";
import type { CompleteUpload, CopyPart, NewUpload, PutPart, UploadRef } from "../../object-engine.js";
import type { Context } from "../../types.js";
import { type Access, fateOf } from "./access.js";
import { writeU64 } from "./codec.js";
import { checkLength, type Ingested } from "./ingest.js";
import { idBytes, objectKey, partKey, SEQUENCE_BYTES, uploadKey } from "./keys.js";
import { decodePart, encodeManifest, encodePart, MAX_MANIFEST_BYTES, type StoredPart } from "./manifests.js";
import { slice } from "./object-reads.js";
import { versionMade } from "./object-writes.js";
import { checkEarly, findSource, type KnownBucket, type MetadataReader, versionOf } from "./reader.js";
import { BODY_EMPTY, BODY_INLINE, BODY_MANIFEST, encodeRecord, UNDECIDED } from "./records.js";
import { copyOf } from "./tables.js";
import { decodeCompleted, decodeUpload, encodeUpload, fingerprintOf } from "./upload-records.js";

export async function createUpload(access: Access, ctx: Context, request: NewUpload): Promise<Upload> {
  const { reader, client } = access;
  const { bucket, key, ...rest } = request;
  reader.refresh();
  const tableKey = objectKey(reader.existingBucket(bucket).id, key);
  const { initiatorId, attributes, checksumAlgorithm, checksumType } = rest;
  const upload = { initiatorId, attributes, checksumAlgorithm, checksumType };
  const made = await client.call("createUpload", { key: tableKey, upload: encodeUpload(upload) }, ctx);
  return { key, uploadId: made.uploadId.toString("base64url"), initiatedMs: made.initiatedMs, ...upload };
}

/** An upload that is there. */
interface KnownUpload {
  readonly known: KnownBucket;
  readonly key: Buffer;
  readonly id: Buffer;
  readonly record: Buffer;
}

const noSuchUpload = () => refused("no-such-upload", "the upload is not there: it may have been completed or aborted");

/** @throws no-such-bucket, no-such-upload */
function findUpload(reader: MetadataReader, { bucket, key, uploadId }: UploadRef): KnownUpload {
  reader.refresh();
  const known = reader.existingBucket(bucket);
  const tableKey = objectKey(known.id, key);
  const id = idBytes(uploadId);
  const record = id && copyOf(reader.tables.uploads, uploadKey(tableKey, id));
  if (!record) throw noSuchUpload();
  return { known, key: tableKey, id, record };
}

export function upload({ reader }: Access, ref: UploadRef): Upload {
  return decodeUpload(findUpload(reader, ref).record, ref.key, ref.uploadId);
}

function checkPartNumber(partNumber: number): void {
  if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > MAX_PARTS)
    throw invalid(`part number ${partNumber}: it must be 1 to ${MAX_PARTS}`);
}

export async function putPart(access: Access, ctx: Context, request: PutPart): Promise<ObjectPart> {
  const { reader, client, ingest } = access;
  const { partNumber, body } = request;
  const { known, key, id } = findUpload(reader, request);
  checkPartNumber(partNumber);
  checkLength(body, MAX_PART_BYTES);
  checkEarly(reader, known, body.lengthBytes ?? 0);
  const taken = await ingest.take(ctx, body, MAX_PART_BYTES, known.bucket.durability === "relaxed");
  const part = partOf(partNumber, taken);
  const inline = taken.inline ? [taken.inline] : [];
  const message = { key, uploadId: id, partNumber, part: encodePart(part), inline, source: null };
  step("object-part/stored");
  const { modifiedMs } = await client.call("putPart", message, ctx, fateOf(access, taken.body));
  step("object-part/committed");
  return { ...publicPart(part), lastModifiedMs: modifiedMs };
}

function partOf(number: number, { body, sizeBytes, digest }: Ingested): StoredPart {
  const { md5: etag, checksum } = digest;
  const whole = { number, sizeBytes, etag, checksum, lastModifiedMs: 0, sequence: 0 };
  if (body.kind === BODY_EMPTY || body.kind === BODY_MANIFEST) return { ...whole, segments: [] };
  if (body.kind === BODY_INLINE) return { ...whole, segments: [{ ...body, lengthBytes: sizeBytes }] };
  return { ...whole, segments: [{ ...body, offsetBytes: 0, lengthBytes: sizeBytes }] };
}

export function publicPart({ number, sizeBytes, etag, lastModifiedMs, checksum }: StoredPart): ObjectPart {
  return { number, sizeBytes, etag, lastModifiedMs, checksum };
}

export async function copyPart(access: Access, ctx: Context, request: CopyPart): Promise<ObjectPart> {
  const { reader, client } = access;
  const { partNumber, offsetBytes, lengthBytes, digest } = request;
  const { known, key, id } = findUpload(reader, request);
  checkPartNumber(partNumber);
  if (lengthBytes > MAX_PART_BYTES) throw refused("object-too-large", `a part has at most ${MAX_PART_BYTES} bytes`);
  const { version, body, message: source } = findSource(reader, request.source);
  if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes + lengthBytes > version.sizeBytes)
    throw invalid(`bytes ${offsetBytes} to ${offsetBytes + lengthBytes} of an object of ${version.sizeBytes} bytes`);
  checkEarly(reader, known, lengthBytes);
  const { segments, inline } = slice(reader, body, version.sizeBytes, offsetBytes, lengthBytes);
  const { md5: etag, checksum } = digest;
  const part = { number: partNumber, sizeBytes: lengthBytes, etag, checksum, lastModifiedMs: 0, sequence: 0, segments };
  const message = { key, uploadId: id, partNumber, part: encodePart(part), inline, source };
  const { modifiedMs } = await client.call("putPart", message, ctx);
  return { ...publicPart(part), lastModifiedMs: modifiedMs };
}

export function listParts({ reader }: Access, ref: UploadRef, after: number, limit: number) {
  const { id } = findUpload(reader, ref);
  const range = { start: partKey(id, after + 1), end: partKey(id, 0xffff), limit: limit + 1 };
  const rows = after >= MAX_PARTS ? [] : [...reader.tables.parts.getRange(range)];
  const parts = rows.slice(0, limit).map(({ value }) => publicPart(decodePart(value)));
  return { parts, truncated: rows.length > limit };
}

// A part that is put while its upload is completed has the completion look again; that ends when the client stops.
const COMPLETE_ATTEMPTS = 8;

export async function completeUpload(access: Access, ctx: Context, request: CompleteUpload): Promise<ObjectVersion> {
  const fingerprint = fingerprintOf(request.parts);
  for (let attempt = 1; ; attempt++) {
    let sequences: Buffer | undefined;
    try {
      const prepared = prepare(access.reader, request);
      sequences = prepared.message.parts;
      const message = { ...prepared.message, fingerprint, preconditions: request.preconditions };
      step("object-complete/prepared");
      const decided = await access.client.call("complete", message, ctx);
      step("object-complete/committed");
      return versionMade(request.key, prepared.stored, decided);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error.reason === "no-such-upload") return completedBefore(access.reader, request, fingerprint);
      const again = error.reason === "conflict" && sequences && attempt < COMPLETE_ATTEMPTS;
      if (!again || !partsChanged(access.reader, request, sequences as Buffer)) throw error;
    }
  }
}

/** What the writer is asked with, of the parts as they are now. @throws everything that completion refuses for its parts */
function prepare(reader: MetadataReader, request: CompleteUpload) {
  const { known, key, id, record: uploadRecord } = findUpload(reader, request);
  const parts = storedParts(reader, id, request.parts);
  const upload = decodeUpload(uploadRecord, request.key, request.uploadId);
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  if (sizeBytes > MAX_OBJECT_BYTES)
    throw refused("object-too-large", `an object has at most ${MAX_OBJECT_BYTES} bytes`);
  const { etag, checksum, retention } = request.digest(parts.map(publicPart), upload);
  const attributes = retention ? { ...upload.attributes, retention } : upload.attributes;
  const body = { kind: BODY_MANIFEST, id: UNDECIDED } as const;
  const stored = { etag, checksum, sizeBytes, partsCount: parts.length, attributes, body };
  const record = encodeRecord(stored, known.bucket.ownerId);
  const manifest = encodeManifest(parts);
  if (manifest.length > MAX_MANIFEST_BYTES)
    throw refused(
      "object-too-large",
      "the object is copied from too many pieces: copy the parts of its sources as wholes",
    );
  return { stored, message: { key, uploadId: id, parts: entriesOf(parts), record, manifest } };
}

function entriesOf(parts: readonly StoredPart[]): Buffer {
  const entryBytes = 2 + SEQUENCE_BYTES;
  const entries = Buffer.allocUnsafe(parts.length * entryBytes);
  for (const [i, { number, sequence }] of parts.entries()) {
    entries.writeUInt16BE(number, i * entryBytes);
    writeU64(entries, sequence, i * entryBytes + 2);
  }
  return entries;
}

function storedParts(reader: MetadataReader, id: Buffer, wanted: CompleteUpload["parts"]): StoredPart[] {
  return chosenParts(wanted, (number) => {
    const row = copyOf(reader.tables.parts, partKey(id, number));
    return row && decodePart(row);
  });
}

function partsChanged(reader: MetadataReader, request: CompleteUpload, sequences: Buffer): boolean {
  const { id } = findUpload(reader, request);
  return !entriesOf(storedParts(reader, id, request.parts)).equals(sequences);
}

/** @throws no-such-upload unless these very parts completed it */
function completedBefore(reader: MetadataReader, request: CompleteUpload, fingerprint: Buffer): ObjectVersion {
  reader.refresh();
  const known = reader.existingBucket(request.bucket);
  const id = idBytes(request.uploadId);
  const row = id && copyOf(reader.tables.completed, id);
  const completed = row && decodeCompleted(row);
  const key = objectKey(known.id, request.key);
  if (!completed?.key.equals(key) || !completed.fingerprint.equals(fingerprint)) throw noSuchUpload();
  return versionOf({ known, record: completed.record, isLatest: true }, request.key);
}

export async function abortUpload({ reader, client }: Access, ctx: Context, ref: UploadRef): Promise<void> {
  const { key, id } = findUpload(reader, ref);
  await client.call("abort", { key, uploadId: id }, ctx);
}
