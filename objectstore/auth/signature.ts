import { createHmac, hash, randomBytes, timingSafeEqual } from "node:crypto";
import { HmacKey } from "./hmac.js";

export const ALGORITHM = "AWS4-HMAC-SHA256";
/** SigV4A, which this server does not have. */
export const ECDSA = "AWS4-ECDSA-P256-SHA256";
export const SERVICE = "s3";
export const TERMINATOR = "aws4_request";

/** What is signed with when no key has the id: nothing that anyone knows, so that the same work is done. */
export const NO_SECRET = randomBytes(32).toString("hex");

const CACHED_KEYS = 4096;
/** Signing keys by day, region and secret. Days are bounded by the clock's, so a caller cannot fill it with others. */
const keys = new Map<string, HmacKey>();

/**
 * SigV4's signing key: four HMACs, the same for all that one secret signs on one day.
 *
 * @param date `YYYYMMDD`
 */
export function signingKey(secret: string, date: string, region: string): HmacKey {
  const id = `${date}/${region}/${secret}`;
  const known = keys.get(id);
  if (known) return known;
  const key = deriveSigningKey(secret, date, region);
  if (keys.size >= CACHED_KEYS) keys.delete(keys.keys().next().value as string);
  keys.set(id, key);
  return key;
}

/** The same, computed anew. */
export function deriveSigningKey(secret: string, date: string, region: string): HmacKey {
  return new HmacKey(hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), SERVICE), TERMINATOR));
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** Hex SHA-256 of text whose characters are bytes, as headers come. */
export function sha256Hex(text: string): string {
  return hash("sha256", Buffer.from(text, "latin1"), "hex");
}

/** The string to sign of a whole request (S3 API, "Signature Calculations for the Authorization Header", step 2). */
export function stringToSign(timestamp: string, scope: string, canonicalRequest: string): string {
  return `${ALGORITHM}\n${timestamp}\n${scope}\n${sha256Hex(canonicalRequest)}`;
}

/** Whether two signatures are the same, in a time that does not tell where they differ. */
export function sameSignature(expected: string, provided: string): boolean {
  if (expected.length !== provided.length) return false;
  return timingSafeEqual(Buffer.from(expected, "latin1"), Buffer.from(provided, "latin1"));
}
