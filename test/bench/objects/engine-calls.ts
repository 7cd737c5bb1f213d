import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import { crc32 } from "node:zlib";
import { pino } from "pino";
import type { PutObject } from "../../../src/engines/object-engine.js";
import type { Context } from "../../../src/engines/types.js";
import type { NewBucket } from "../../../src/model/bucket.js";
import type { ObjectAttributes } from "../../../src/model/object.js";

/** Calls of the engine alone, for what is measured without HTTP. */
export const BUCKET = "bench";

const { signal } = new AbortController();
// All calls have this one; a request has its own.
setMaxListeners(0, signal);
export const ctx: Context = { signal, requestId: "bench", log: pino({ level: "silent" }) };

export const newBucket: NewBucket = {
  ...{ name: BUCKET, ownerId: "bench", region: "us-east-1", objectLock: false, durability: "strict" },
  ...{ quotaBytes: null, quotaObjects: null, config: {} },
};

const attributes: ObjectAttributes = {
  ...{ contentType: "binary/octet-stream", system: [], user: [], storageClass: "STANDARD", tags: [], acl: null },
  ...{ ownerId: "bench", retention: null, legalHold: null },
};

/** A put with the digests that a gateway computes. */
export function putOf(key: string, bytes: Buffer): PutObject {
  const finish = () => {
    const value = Buffer.alloc(4);
    value.writeUInt32BE(crc32(bytes));
    const md5 = createHash("md5").update(bytes).digest("hex");
    return { md5, checksum: { algorithm: "CRC32", type: "FULL_OBJECT", value: value.toString("base64") } } as const;
  };
  return { bucket: BUCKET, key, body: { bytes, lengthBytes: bytes.length, finish }, attributes, preconditions: {} };
}
