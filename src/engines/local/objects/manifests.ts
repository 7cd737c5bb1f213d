import type { ObjectPart } from "../../../model/object.js";
import { readChecksum, readEtag, writeChecksum, writeEtag } from "./attributes.js";
import { Decoder, Encoder, writeU64 } from "./codec.js";
import { SEQUENCE_BYTES } from "./keys.js";
import { BODY_FILE, BODY_INLINE } from "./records.js";

/** A piece of an object that was uploaded in parts: bytes of a body file, or an inline body whole. */
export type Segment =
  | { readonly kind: typeof BODY_INLINE; readonly id: number; readonly check: bigint; readonly lengthBytes: number }
  | {
      readonly kind: typeof BODY_FILE;
      readonly id: number;
      readonly fileBytes: number;
      readonly offsetBytes: number;
      readonly lengthBytes: number;
    };

/** A part and where its bytes lie. `sequence`: of the commit that put it; a part that is put again has another. */
export interface StoredPart extends ObjectPart {
  readonly sequence: number;
  readonly segments: readonly Segment[];
}

/** What an object is made of. */
export interface Content {
  readonly segments: readonly Segment[];
  /** [] where it was not uploaded in parts. */
  readonly parts: readonly StoredPart[];
}

/** Ten thousand parts of one segment have a tenth of it; LMDB hands values of 16 MiB out in another way than smaller ones. */
export const MAX_MANIFEST_BYTES = 15 * 1024 ** 2;

const encoder = new Encoder();
const FORMAT = 1;
const SEQUENCE_AT = 1;

/** A part's record: format, sequence, time, size, number; ETag, checksum, segments, cipher's parameters (none). */
export function encodePart(part: StoredPart): Buffer {
  return writePart(encoder.reset(), part).take();
}

function writePart(target: Encoder, part: StoredPart): Encoder {
  target.u8(FORMAT).u64(part.sequence).u48(part.lastModifiedMs).u48(part.sizeBytes).u16(part.number);
  writeEtag(target, part.etag);
  writeChecksum(target, part.checksum);
  target.u32(part.segments.length);
  for (const segment of part.segments) {
    target.u8(segment.kind).u64(segment.id).u48(segment.lengthBytes);
    if (segment.kind === BODY_INLINE) target.check(segment.check);
    else target.u48(segment.fileBytes).u48(segment.offsetBytes);
  }
  return target.u8(0);
}

export const decodePart = (bytes: Buffer): StoredPart => readPart(new Decoder(bytes));

function readPart(source: Decoder): StoredPart {
  const format = source.u8();
  if (format !== FORMAT) throw new RangeError(`a part's record has format ${format}`);
  const sequence = source.u64();
  const lastModifiedMs = source.u48();
  const sizeBytes = source.u48();
  const number = source.u16();
  const etag = readEtag(source);
  const checksum = readChecksum(source);
  const count = source.u32();
  const segments: Segment[] = [];
  for (let i = 0; i < count; i++) segments.push(readSegment(source));
  // In two steps: `at += u8()` would take the place before the length was read.
  const cipherBytes = source.u8();
  source.at += cipherBytes;
  return { number, sizeBytes, etag, lastModifiedMs, checksum, sequence, segments };
}

function readSegment(source: Decoder): Segment {
  const kind = source.u8();
  const id = source.u64();
  const lengthBytes = source.u48();
  if (kind === BODY_INLINE) return { kind, id, lengthBytes, check: source.check() };
  if (kind === BODY_FILE) return { kind, id, lengthBytes, fileBytes: source.u48(), offsetBytes: source.u48() };
  throw new RangeError(`a segment has kind ${kind}`);
}

/** The sequence in an encoded part, which is all that a completion compares. */
export const partSequence = (part: Buffer): number => new Decoder(part, SEQUENCE_AT).u64();

/** Of a completed upload: its parts in order. */
export function encodeManifest(parts: readonly StoredPart[]): Buffer {
  encoder.reset().u8(FORMAT).u32(parts.length);
  for (const part of parts) writePart(encoder, part);
  return encoder.take();
}

export function decodeManifest(bytes: Buffer): StoredPart[] {
  const source = new Decoder(bytes);
  const format = source.u8();
  if (format !== FORMAT) throw new RangeError(`a manifest has format ${format}`);
  const count = source.u32();
  const parts: StoredPart[] = [];
  for (let i = 0; i < count; i++) parts.push(readPart(source));
  return parts;
}

/** The key of the manifest itself; its count of references has the id alone as its key. */
export function manifestKey(id: number): Buffer {
  const key = Buffer.alloc(SEQUENCE_BYTES + 1);
  writeU64(key, id, 0);
  return key;
}
