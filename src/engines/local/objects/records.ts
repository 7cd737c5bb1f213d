import type { Checksum, ObjectAttributes, ObjectVersion, Retention, VersionSummary } from "../../../model/object.js";
import { NULL_VERSION } from "../../../model/object.js";
import {
  readAttributes,
  readChecksum,
  readEtag,
  readStorageClass,
  writeAttributes,
  writeChecksum,
  writeEtag,
  writeStorageClass,
} from "./attributes.js";
import { Decoder, Encoder, readU64, writeU64 } from "./codec.js";
import { SEQUENCE_BYTES, UPLOAD_ID_BYTES } from "./keys.js";

/**
 * A version's record. First a head of fixed places: the process that serves encodes it whole, the writer fills in what
 * the commit decides and reads what its rules need, without decoding the rest. Then what listings show, then attributes.
 *
 *   0  format (1)                18 modified, ms      40 body's kind
 *   1  flags                     24 size, bytes       41 body's id
 *   2  sequence                  30 parts             49 body's check: an inline body's XXH64, a file's size
 *   10 random of the version id  32 retention's mode  57 etag, checksum, storage class, owner unless it is the bucket's,
 *                                33 retained until       cipher's parameters (none: in the clear), attributes
 */
const FORMAT = 1;
const FLAGS_AT = 1;
const SEQUENCE_AT = 2;
const RANDOM_AT = SEQUENCE_AT + SEQUENCE_BYTES;
const MODIFIED_AT = 18;
const SIZE_AT = 24;
const PARTS_AT = 30;
const MODE_AT = 32;
const UNTIL_AT = 33;
const BODY_KIND_AT = 40;
const BODY_ID_AT = 41;
const BODY_CHECK_AT = 49;
const HEAD_BYTES = 57;

/** Half of a version id; the other is the sequence. */
export const ID_RANDOM_BYTES = 8;

const DELETE_MARKER = 1;
const NULL = 2;
const LEGAL_HOLD = 4;
const OWNED_BY_BUCKET = 8;
/** Legal hold was set to OFF, which S3 tells from never set. */
const LEGAL_HOLD_OFF = 16;

export const BODY_EMPTY = 0;
export const BODY_INLINE = 1;
export const BODY_FILE = 2;
export const BODY_MANIFEST = 3;

/** Where an object's bytes lie. */
export type BodyRef =
  | { readonly kind: typeof BODY_EMPTY }
  | { readonly kind: typeof BODY_INLINE; readonly id: number; readonly check: bigint }
  | { readonly kind: typeof BODY_FILE; readonly id: number; readonly fileBytes: number }
  | { readonly kind: typeof BODY_MANIFEST; readonly id: number };

export const EMPTY_BODY: BodyRef = { kind: BODY_EMPTY };
/** Of a body whose id the commit decides. */
export const UNDECIDED = 0;

export interface NewRecord {
  readonly etag: string;
  readonly checksum: Checksum | null;
  readonly sizeBytes: number;
  readonly partsCount: number;
  readonly attributes: ObjectAttributes;
  readonly body: BodyRef;
}

const encoder = new Encoder();
const EMPTY_HEAD = Buffer.alloc(HEAD_BYTES);

/** All but what the commit decides: see decide(). */
export function encodeRecord(record: NewRecord, bucketOwnerId: string): Buffer {
  const { attributes } = record;
  encoder.reset().bytes(EMPTY_HEAD);
  writeEtag(encoder, record.etag);
  writeChecksum(encoder, record.checksum);
  writeStorageClass(encoder, attributes.storageClass);
  if (attributes.ownerId !== bucketOwnerId) encoder.short(attributes.ownerId);
  encoder.u8(0);
  writeAttributes(encoder, attributes);
  const bytes = encoder.take();
  bytes[0] = FORMAT;
  bytes[FLAGS_AT] = legalHoldFlag(attributes) | (attributes.ownerId === bucketOwnerId ? OWNED_BY_BUCKET : 0);
  bytes.writeUIntBE(record.sizeBytes, SIZE_AT, 6);
  bytes.writeUInt16BE(record.partsCount, PARTS_AT);
  if (attributes.retention !== null) setRetention(bytes, attributes.retention);
  setBody(bytes, record.body);
  return bytes;
}

function legalHoldFlag({ legalHold }: ObjectAttributes): number {
  if (legalHold === null) return 0;
  return legalHold ? LEGAL_HOLD : LEGAL_HOLD_OFF;
}

/** A delete marker's record, all but what the commit decides. Its owner is the bucket's. */
export function encodeDeleteMarker(): Buffer {
  const none = { contentType: "", system: [], user: [], tags: [], acl: null, retention: null, legalHold: null };
  const attributes = { ...none, storageClass: "STANDARD", ownerId: "" };
  const record = encodeRecord(
    { etag: "", checksum: null, sizeBytes: 0, partsCount: 0, attributes, body: EMPTY_BODY },
    attributes.ownerId,
  );
  record[FLAGS_AT] = flags(record) | DELETE_MARKER;
  return record;
}

/** What a commit decides of a version. Without `random` it is the null version. */
export function decide(record: Buffer, sequence: number, modifiedMs: number, random: Buffer | undefined): void {
  writeU64(record, sequence, SEQUENCE_AT);
  record.writeUIntBE(modifiedMs, MODIFIED_AT, 6);
  if (random) {
    record.set(random, RANDOM_AT);
    record[FLAGS_AT] = flags(record) & ~NULL;
  } else {
    record.fill(0, RANDOM_AT, MODIFIED_AT);
    record[FLAGS_AT] = flags(record) | NULL;
  }
}

export function setBody(record: Buffer, body: BodyRef): void {
  record[BODY_KIND_AT] = body.kind;
  record.fill(0, BODY_ID_AT, HEAD_BYTES);
  if (body.kind === BODY_EMPTY) return;
  writeU64(record, body.id, BODY_ID_AT);
  if (body.kind === BODY_INLINE) record.writeBigUInt64BE(body.check, BODY_CHECK_AT);
  else if (body.kind === BODY_FILE) writeU64(record, body.fileBytes, BODY_CHECK_AT);
}

/** Fills in the id of an inline body or a manifest. */
export const setBodyId = (record: Buffer, id: number): void => writeU64(record, id, BODY_ID_AT);
export const bodyKind = (record: Buffer): number => record[BODY_KIND_AT] as number;
export const bodyId = (record: Buffer): number => readU64(record, BODY_ID_AT);

export function bodyOf(record: Buffer): BodyRef {
  const kind = record[BODY_KIND_AT];
  if (kind === BODY_EMPTY) return EMPTY_BODY;
  const id = readU64(record, BODY_ID_AT);
  if (kind === BODY_INLINE) return { kind, id, check: record.readBigUInt64BE(BODY_CHECK_AT) };
  if (kind === BODY_FILE) return { kind, id, fileBytes: readU64(record, BODY_CHECK_AT) };
  if (kind === BODY_MANIFEST) return { kind, id };
  throw new RangeError(`a record has body kind ${kind}`);
}

const flags = (record: Buffer): number => record[FLAGS_AT] as number;
export const isDeleteMarker = (record: Buffer): boolean => (flags(record) & DELETE_MARKER) !== 0;
export const isNull = (record: Buffer): boolean => (flags(record) & NULL) !== 0;
export const hasLegalHold = (record: Buffer): boolean => (flags(record) & LEGAL_HOLD) !== 0;
const legalHoldOf = (record: Buffer): boolean | null =>
  hasLegalHold(record) ? true : (flags(record) & LEGAL_HOLD_OFF) !== 0 ? false : null;
export const sequenceOf = (record: Buffer): number => readU64(record, SEQUENCE_AT);
export const sizeOf = (record: Buffer): number => record.readUIntBE(SIZE_AT, 6);
export const modifiedOf = (record: Buffer): number => record.readUIntBE(MODIFIED_AT, 6);
export const etagOf = (record: Buffer): string => readEtag(new Decoder(record, HEAD_BYTES));

export function retentionOf(record: Buffer): Retention | null {
  const mode = record[MODE_AT];
  if (mode === 0) return null;
  return { mode: mode === 2 ? "COMPLIANCE" : "GOVERNANCE", untilMs: record.readUIntBE(UNTIL_AT, 6) };
}

export function versionIdOf(record: Buffer): string {
  return isNull(record) ? NULL_VERSION : record.toString("base64url", SEQUENCE_AT, SEQUENCE_AT + UPLOAD_ID_BYTES);
}

/** Whether this version id, as its bytes, is the record's. */
export function hasVersionId(record: Buffer, id: Buffer): boolean {
  return !isNull(record) && id.equals(record.subarray(SEQUENCE_AT, SEQUENCE_AT + UPLOAD_ID_BYTES));
}

/** The sequence in hexadecimal, as generationOf() has it: text of a large number costs more than all else of a listing. */
export const generationText = (sequence: number): string => sequence.toString(16).padStart(2 * SEQUENCE_BYTES, "0");
export const generationOf = (record: Buffer): string =>
  record.toString("hex", SEQUENCE_AT, SEQUENCE_AT + SEQUENCE_BYTES);

/** What listings show. */
export function decodeSummary(record: Buffer, key: string, isLatest: boolean, bucketOwnerId: string): VersionSummary {
  return summary(record, new Decoder(record, HEAD_BYTES), key, isLatest, bucketOwnerId);
}

function summary(record: Buffer, decoder: Decoder, key: string, isLatest: boolean, bucketOwnerId: string) {
  const etag = readEtag(decoder);
  const checksum = readChecksum(decoder);
  const storageClass = readStorageClass(decoder);
  return {
    key,
    versionId: versionIdOf(record),
    isLatest,
    deleteMarker: isDeleteMarker(record),
    lastModifiedMs: modifiedOf(record),
    etag,
    sizeBytes: sizeOf(record),
    storageClass,
    ownerId: flags(record) & OWNED_BY_BUCKET ? bucketOwnerId : decoder.short(),
    checksum,
    generation: generationOf(record),
  };
}

export function decodeVersion(record: Buffer, key: string, isLatest: boolean, bucketOwnerId: string): ObjectVersion {
  if (record[0] !== FORMAT) throw new RangeError(`the record of ${JSON.stringify(key)} has format ${record[0]}`);
  const decoder = new Decoder(record, HEAD_BYTES);
  const known = summary(record, decoder, key, isLatest, bucketOwnerId);
  skipCipher(decoder);
  const { storageClass, ownerId } = known;
  const head = { storageClass, ownerId, retention: retentionOf(record), legalHold: legalHoldOf(record) };
  // Field by field: a spread of an object that is not known beforehand costs as much as the decoding.
  return {
    key,
    versionId: known.versionId,
    isLatest,
    deleteMarker: known.deleteMarker,
    lastModifiedMs: known.lastModifiedMs,
    etag: known.etag,
    sizeBytes: known.sizeBytes,
    storageClass,
    ownerId,
    checksum: known.checksum,
    generation: known.generation,
    attributes: readAttributes(decoder, head),
    partsCount: record.readUInt16BE(PARTS_AT),
  };
}

/** The record with other tags, ACL, retention or legal hold; all else stays as it is, byte for byte. */
export function withAttributes(record: Buffer, attributes: ObjectAttributes): Buffer {
  const decoder = new Decoder(record, HEAD_BYTES);
  summary(record, decoder, "", false, "");
  skipCipher(decoder);
  encoder.reset().bytes(record.subarray(0, decoder.at));
  writeAttributes(encoder, attributes);
  const changed = encoder.take();
  changed[FLAGS_AT] = (flags(record) & ~(LEGAL_HOLD | LEGAL_HOLD_OFF)) | legalHoldFlag(attributes);
  setRetention(changed, attributes.retention);
  return changed;
}

function setRetention(record: Buffer, retention: Retention | null): void {
  record[MODE_AT] = retention === null ? 0 : retention.mode === "COMPLIANCE" ? 2 : 1;
  record.writeUIntBE(retention?.untilMs ?? 0, UNTIL_AT, 6);
}

// Nothing is encrypted yet; what would be needed to decrypt stands here.
function skipCipher(decoder: Decoder): void {
  // In two steps: `at += u8()` would take the place before the length was read.
  const length = decoder.u8();
  decoder.at += length;
}
