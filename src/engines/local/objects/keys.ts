import { invalid, refused } from "../../../errors/storage-error.js";
import { MAX_KEY_BYTES } from "../../../model/object.js";
import { readU64, writeU64 } from "./codec.js";

/**
 * Keys of the tables. A bucket is its id, 4 bytes, so that a bucket's keys lie together and a new bucket of an old name
 * shares nothing with it. An object key stands as its UTF-8 bytes, whose order is S3's. Where more follows the key, it is
 * escaped and ended by a zero, so that no key is taken for the beginning of another and the order stays.
 */
export const BUCKET_ID_BYTES = 4;
export const SEQUENCE_BYTES = 8;
export const UPLOAD_ID_BYTES = 16;

/** LMDB's limit with pages of 4 KiB (lmdb-js: DEFAULT_MAX_KEY_SIZE). */
export const MAX_TABLE_KEY_BYTES = 1978;
const MAX_ESCAPED_KEY_BYTES = MAX_TABLE_KEY_BYTES - BUCKET_ID_BYTES - 1 - UPLOAD_ID_BYTES;

const ZERO = 0x00;
const ESCAPE = 0x01;

/**
 * The key of `objects` and `nulls`.
 *
 * @throws StorageError key-too-long: over 1,024 bytes, or so full of bytes 0 and 1 that it is too long once escaped
 */
export function objectKey(bucketId: number, key: string): Buffer {
  const bytes = Buffer.byteLength(key);
  if (bytes > MAX_KEY_BYTES) throw refused("key-too-long", `the key has ${bytes} bytes: ${MAX_KEY_BYTES} is the limit`);
  if (bytes === 0) throw invalid("the key is empty");
  const target = prefixKey(bucketId, key, bytes);
  if (bytes > MAX_ESCAPED_KEY_BYTES / 2 && escapedLength(target) > MAX_ESCAPED_KEY_BYTES)
    throw refused("key-too-long", "the key holds too many bytes of 0x00 and 0x01: they count twice");
  return target;
}

/** A beginning of keys: for ranges. Of any length; may be longer than a key can be. */
export function prefixKey(bucketId: number, prefix: string, bytes = Buffer.byteLength(prefix)): Buffer {
  const target = Buffer.allocUnsafe(BUCKET_ID_BYTES + bytes);
  target.writeUInt32BE(bucketId, 0);
  target.write(prefix, BUCKET_ID_BYTES);
  return target;
}

export const bucketIdOf = (key: Buffer): number => key.readUInt32BE(0);
export const keyText = (objectKey: Buffer): string => objectKey.toString("utf8", BUCKET_ID_BYTES);

export function bucketIdKey(bucketId: number): Buffer {
  const target = Buffer.allocUnsafe(BUCKET_ID_BYTES);
  target.writeUInt32BE(bucketId, 0);
  return target;
}

export function sequenceKey(sequence: number): Buffer {
  const target = Buffer.allocUnsafe(SEQUENCE_BYTES);
  writeU64(target, sequence, 0);
  return target;
}

/** A prefix of escaped keys: as prefixKey(), for `versions` and `uploads`. */
export function escapedPrefix(prefix: Buffer): Buffer {
  const key = escaped(prefix, 0);
  return key.subarray(0, key.length - 1);
}

function escapedLength(objectKey: Buffer): number {
  let length = objectKey.length - BUCKET_ID_BYTES;
  for (let i = BUCKET_ID_BYTES; i < objectKey.length; i++) if ((objectKey[i] as number) <= ESCAPE) length++;
  return length;
}

/** Bucket id, escaped key, zero, and `tailBytes` more for the caller to fill. Of an `objects` key. */
export function escaped(objectKey: Buffer, tailBytes: number): Buffer {
  const length = BUCKET_ID_BYTES + escapedLength(objectKey) + 1;
  const target = Buffer.allocUnsafe(length + tailBytes);
  if (length === objectKey.length + 1) target.set(objectKey);
  else {
    target.set(objectKey.subarray(0, BUCKET_ID_BYTES));
    let at = BUCKET_ID_BYTES;
    for (let i = BUCKET_ID_BYTES; i < objectKey.length; i++) {
      const byte = objectKey[i] as number;
      if (byte <= ESCAPE) target[at++] = ESCAPE;
      target[at++] = byte <= ESCAPE ? byte + 1 : byte;
    }
  }
  target[length - 1] = ZERO;
  return target;
}

/** The `objects` key within a key of `versions` or `uploads`. */
export function unescaped(tableKey: Buffer): Buffer {
  const end = tableKey.indexOf(ZERO, BUCKET_ID_BYTES);
  if (tableKey.indexOf(ESCAPE, BUCKET_ID_BYTES) === -1) return tableKey.subarray(0, end);
  const target = Buffer.allocUnsafe(end);
  target.set(tableKey.subarray(0, BUCKET_ID_BYTES));
  let at = BUCKET_ID_BYTES;
  for (let i = BUCKET_ID_BYTES; i < end; i++) {
    const byte = tableKey[i] as number;
    if (byte === ESCAPE) target[at++] = (tableKey[++i] as number) - 1;
    else target[at++] = byte;
  }
  return target.subarray(0, at);
}

/** Newest first: sequences lie inverted. */
export function versionKey(objectKey: Buffer, sequence: number): Buffer {
  const target = escaped(objectKey, SEQUENCE_BYTES);
  writeU64(target, MAX_SEQUENCE - sequence, target.length - SEQUENCE_BYTES);
  return target;
}

export const sequenceOfVersionKey = (key: Buffer): number => MAX_SEQUENCE - readU64(key, key.length - SEQUENCE_BYTES);
export const MAX_SEQUENCE = Number.MAX_SAFE_INTEGER;

/** `uploadId`: the 16 bytes. */
export function uploadKey(objectKey: Buffer, uploadId: Buffer): Buffer {
  const target = escaped(objectKey, UPLOAD_ID_BYTES);
  target.set(uploadId, target.length - UPLOAD_ID_BYTES);
  return target;
}

export function partKey(uploadId: Buffer, partNumber: number): Buffer {
  const target = Buffer.allocUnsafe(UPLOAD_ID_BYTES + 2);
  target.set(uploadId);
  target.writeUInt16BE(partNumber, UPLOAD_ID_BYTES);
  return target;
}

/**
 * The first key behind all that begin with this one; undefined where there is none. UTF-8 has no byte 0xff, so within a
 * bucket the last byte grows by one; a bucket's own prefix is its id, which carries.
 */
export function behindPrefix(prefix: Buffer): Buffer | undefined {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  if (end === 0) return undefined;
  const target = Buffer.from(prefix.subarray(0, end));
  target[end - 1] = (target[end - 1] as number) + 1;
  return target;
}

/** The key right behind this one. */
export function after(key: Buffer): Buffer {
  const target = Buffer.allocUnsafe(key.length + 1);
  target.set(key);
  target[key.length] = 0;
  return target;
}

/**
 * Ids of versions and uploads as S3's clients see them: a sequence and eight random bytes, so that one seek finds them
 * and nobody guesses them. Sequences stay below 2^53, so the text begins with an A.
 */
export function idText(sequence: number, random: Buffer): string {
  const bytes = Buffer.allocUnsafe(UPLOAD_ID_BYTES);
  writeU64(bytes, sequence, 0);
  bytes.set(random, SEQUENCE_BYTES);
  return bytes.toString("base64url");
}

const ID_TEXT_LENGTH = 22;

/** The 16 bytes of an id, or undefined if the text is none. */
export function idBytes(text: string): Buffer | undefined {
  if (text.length !== ID_TEXT_LENGTH) return undefined;
  const bytes = Buffer.from(text, "base64url");
  // Decoding is lenient: what does not come back the same was no id.
  if (bytes.length !== UPLOAD_ID_BYTES || bytes.toString("base64url") !== text) return undefined;
  return readU64(bytes, 0) <= MAX_SEQUENCE ? bytes : undefined;
}
