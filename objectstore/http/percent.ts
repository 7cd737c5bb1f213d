import { isUtf8 } from "node:buffer";
import { S3Error } from "../../src/errors/s3-error.js";

const HEX = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

/** What SigV4 leaves as it is (RFC 3986's unreserved), what it writes for any other byte. */
const ENCODED = Array.from({ length: 256 }, (_none, byte) => {
  const char = String.fromCharCode(byte);
  return /[A-Za-z0-9\-._~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
});

const NOTHING_TO_DECODE = /^[\x20-\x24\x26-\x7e]*$/;

/**
 * Percent-decodes a piece of a request target once, to the text that its bytes are in UTF-8. Nothing else is changed: no
 * `..`, `//` or `%252e` is folded. `+` stands for itself, in queries for a space, as S3 reads it.
 *
 * @param raw each character a byte, as Node gives a request's url
 * @throws S3Error InvalidURI where an escape is broken or the bytes are not UTF-8
 */
export function percentDecode(raw: string, where: "path" | "query"): string {
  const spaces = where === "query" && raw.includes("+");
  if (NOTHING_TO_DECODE.test(raw)) return spaces ? raw.replaceAll("+", " ") : raw;
  const bytes = percentBytes(raw, spaces);
  if (!isUtf8(bytes)) throw new S3Error("InvalidURI");
  return bytes.toString("utf8");
}

/** @throws S3Error InvalidURI where an escape is broken */
export function percentBytes(raw: string, plusIsSpace: boolean): Buffer {
  const bytes = Buffer.allocUnsafe(raw.length);
  let length = 0;
  for (let i = 0; i < raw.length; i++) {
    let byte = raw.charCodeAt(i);
    if (byte > 0xff) throw new S3Error("InvalidURI");
    if (byte === PERCENT) {
      const [high, low] = [HEX[raw.charCodeAt(i + 1)] ?? -1, HEX[raw.charCodeAt(i + 2)] ?? -1];
      if (high < 0 || low < 0) throw new S3Error("InvalidURI");
      byte = high * 16 + low;
      i += 2;
    } else if (byte === PLUS && plusIsSpace) byte = SPACE;
    bytes[length++] = byte;
  }
  return bytes.subarray(0, length);
}

/** SigV4's UriEncode of bytes: everything but the unreserved characters, and `/` where `slash` says so. */
export function percentEncode(bytes: Uint8Array, slash: "kept" | "encoded"): string {
  let encoded = "";
  for (const byte of bytes) encoded += byte === 0x2f && slash === "kept" ? "/" : (ENCODED[byte] as string);
  return encoded;
}
