import { createHash } from "node:crypto";
import type { Upload } from "../../../model/object.js";
import type { CompleteUpload } from "../../object-engine.js";

/** An upload's record: when it began, as the commit says, and the rest as JSON. */
const REST_AT = 6;

type Rest = Omit<Upload, "key" | "uploadId" | "initiatedMs">;

export function encodeUpload(upload: Rest): Buffer {
  const rest = Buffer.from(JSON.stringify(upload));
  const bytes = Buffer.alloc(REST_AT + rest.length);
  bytes.set(rest, REST_AT);
  return bytes;
}

export const setInitiated = (record: Buffer, ms: number): void => void record.writeUIntBE(ms, 0, REST_AT);

export function decodeUpload(record: Buffer, key: string, uploadId: string): Upload {
  const rest = JSON.parse(record.toString("utf8", REST_AT)) as Rest;
  return { key, uploadId, initiatedMs: record.readUIntBE(0, REST_AT), ...rest };
}

/** A completed upload, so that its repetition is answered: when, by which parts, and the version's key and record. */
export interface Completed {
  readonly atMs: number;
  readonly fingerprint: Buffer;
  readonly key: Buffer;
  readonly record: Buffer;
}

const FINGERPRINT_BYTES = 32;
const KEY_LENGTH_AT = 6 + FINGERPRINT_BYTES;
const KEY_AT = KEY_LENGTH_AT + 2;

export function fingerprintOf(parts: CompleteUpload["parts"]): Buffer {
  const hash = createHash("sha256");
  for (const { number, etag } of parts) hash.update(`${number} ${etag}\n`);
  return hash.digest();
}

export function encodeCompleted({ atMs, fingerprint, key, record }: Completed): Buffer {
  const bytes = Buffer.allocUnsafe(KEY_AT + key.length + record.length);
  bytes.writeUIntBE(atMs, 0, 6);
  bytes.set(fingerprint, 6);
  bytes.writeUInt16BE(key.length, KEY_LENGTH_AT);
  bytes.set(key, KEY_AT);
  bytes.set(record, KEY_AT + key.length);
  return bytes;
}

export function decodeCompleted(bytes: Buffer): Completed {
  const recordAt = KEY_AT + bytes.readUInt16BE(KEY_LENGTH_AT);
  return {
    atMs: bytes.readUIntBE(0, 6),
    fingerprint: bytes.subarray(6, KEY_LENGTH_AT),
    key: bytes.subarray(KEY_AT, recordAt),
    record: bytes.subarray(recordAt),
  };
}
