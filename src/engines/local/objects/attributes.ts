import type { Checksum, ObjectAttributes, Pairs, Retention } from "../../../model/object.js";
import { CHECKSUM_ALGORITHMS } from "../../../model/object.js";
import type { Decoder, Encoder } from "./codec.js";

/** What stands elsewhere in a record, since the writer and listings need it without the rest. */
export interface AttributesInHead {
  storageClass: string;
  ownerId: string;
  retention: Retention | null;
  legalHold: boolean | null;
}

const SYSTEM = 1;
const USER = 2;
const TAGS = 4;
const ACL = 8;

export function writeAttributes(encoder: Encoder, attributes: ObjectAttributes): void {
  const { system, user, tags, acl } = attributes;
  encoder
    .u8(
      (system.length > 0 ? SYSTEM : 0) |
        (user.length > 0 ? USER : 0) |
        (tags.length > 0 ? TAGS : 0) |
        (acl === null ? 0 : ACL),
    )
    .text(attributes.contentType);
  if (system.length > 0) writePairs(encoder, system);
  if (user.length > 0) writePairs(encoder, user);
  if (tags.length > 0) writePairs(encoder, tags);
  if (acl !== null) encoder.text(acl);
}

const NONE: Pairs = Object.freeze([]);

export function readAttributes(decoder: Decoder, head: AttributesInHead): ObjectAttributes {
  const there = decoder.u8();
  const contentType = decoder.text();
  const system = there & SYSTEM ? readPairs(decoder) : NONE;
  const user = there & USER ? readPairs(decoder) : NONE;
  const tags = there & TAGS ? readPairs(decoder) : NONE;
  const acl = there & ACL ? decoder.text() : null;
  const { storageClass, ownerId, retention, legalHold } = head;
  return { contentType, system, user, storageClass, tags, acl, ownerId, retention, legalHold };
}

function writePairs(encoder: Encoder, pairs: Pairs): void {
  encoder.u16(pairs.length);
  for (const [name, value] of pairs) encoder.text(name).text(value);
}

function readPairs(decoder: Decoder): Pairs {
  const count = decoder.u16();
  const pairs: [string, string][] = [];
  for (let i = 0; i < count; i++) pairs.push([decoder.text(), decoder.text()]);
  return pairs;
}

const COMPOSITE = 0x10;

export function writeChecksum(encoder: Encoder, checksum: Checksum | null): void {
  if (checksum === null) encoder.u8(0);
  else {
    const code = CHECKSUM_ALGORITHMS.indexOf(checksum.algorithm) + 1;
    encoder.u8(code | (checksum.type === "COMPOSITE" ? COMPOSITE : 0)).short(checksum.value);
  }
}

export function readChecksum(decoder: Decoder): Checksum | null {
  const code = decoder.u8();
  if (code === 0) return null;
  const algorithm = CHECKSUM_ALGORITHMS[(code & ~COMPOSITE) - 1];
  if (algorithm === undefined) throw new RangeError(`a record names checksum ${code}`);
  return { algorithm, type: code & COMPOSITE ? "COMPOSITE" : "FULL_OBJECT", value: decoder.short() };
}

const ETAG_TEXT = 0;
const ETAG_MD5 = 1;
/** A multipart object's: MD5 of the parts' MD5s, and how many parts. */
const ETAG_PARTS = 2;

export function writeEtag(encoder: Encoder, etag: string): void {
  const md5 = etag.length >= 32 ? Buffer.from(etag.slice(0, 32), "hex") : undefined;
  const parts = etag.length > 33 ? Number(etag.slice(33)) : 0;
  if (md5?.length === 16 && etag === md5.toString("hex")) encoder.u8(ETAG_MD5).bytes(md5);
  else if (md5?.length === 16 && parts <= 0xffff && etag === `${md5.toString("hex")}-${parts}`)
    encoder.u8(ETAG_PARTS).bytes(md5).u16(parts);
  else encoder.u8(ETAG_TEXT).short(etag);
}

export function readEtag(decoder: Decoder): string {
  const kind = decoder.u8();
  if (kind === ETAG_MD5) return decoder.hex(16);
  if (kind === ETAG_PARTS) return `${decoder.hex(16)}-${decoder.u16()}`;
  return decoder.short();
}

const STORAGE_CLASSES = ["STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"];
const OTHER = 0xff;

export function writeStorageClass(encoder: Encoder, storageClass: string): void {
  const known = STORAGE_CLASSES.indexOf(storageClass);
  if (known >= 0) encoder.u8(known);
  else encoder.u8(OTHER).short(storageClass);
}

export function readStorageClass(decoder: Decoder): string {
  const code = decoder.u8();
  return code === OTHER ? decoder.short() : (STORAGE_CLASSES[code] ?? "STANDARD");
}
