import { S3Error } from "../../src/errors/s3-error.js";
import { MAX_KEY_BYTES } from "../../src/model/object.js";
import type { S3Request } from "../types.js";
import { percentDecode } from "./percent.js";

export type Target = Pick<S3Request, "rawPath" | "rawQuery" | "bucket" | "key" | "virtualHosted" | "query">;

const NO_QUERY: ReadonlyMap<string, string> = new Map();
const ABSOLUTE = /^https?:\/\//i;

/**
 * Takes a request target apart without ever changing what it names: it is decoded once, as a whole, and split then, so
 * that what is signed (the canonical form of the same decoded path) and what is stored cannot differ.
 *
 * @param target as the request line has it, each character a byte
 * @param host the Host header as sent
 * @param domains under which `BUCKET.DOMAIN` is virtual-hosted style; in lower case
 * @throws S3Error InvalidURI, KeyTooLongError
 */
export function parseTarget(target: string, host: string, domains: readonly string[]): Target {
  const origin = target.charCodeAt(0) === 0x2f ? target : originForm(target, host);
  const mark = origin.indexOf("?");
  const rawPath = mark < 0 ? origin : origin.slice(0, mark);
  const rawQuery = mark < 0 ? "" : origin.slice(mark + 1);
  if (origin.includes("#")) throw new S3Error("InvalidURI");
  const path = percentDecode(rawPath, "path");
  const query = rawQuery === "" ? NO_QUERY : parseQuery(rawQuery);

  const hosted = domains.length === 0 ? undefined : bucketOfHost(host, domains);
  if (hosted !== undefined) {
    return { rawPath, rawQuery, bucket: hosted, key: keyOf(path.slice(1)), virtualHosted: true, query };
  }
  if (path === "/") return { rawPath, rawQuery, bucket: undefined, key: undefined, virtualHosted: false, query };
  const slash = path.indexOf("/", 1);
  const bucket = slash < 0 ? path.slice(1) : path.slice(1, slash);
  const key = slash < 0 ? undefined : keyOf(path.slice(slash + 1));
  return { rawPath, rawQuery, bucket, key, virtualHosted: false, query };
}

/**
 * Absolute form (RFC 9112 section 3.2.2) is taken where it names the same host as the Host header: the signature covers
 * that header alone, so another host in the target would move a signed request to another bucket.
 */
function originForm(target: string, host: string): string {
  const scheme = ABSOLUTE.exec(target)?.[0];
  if (!scheme) throw new S3Error("InvalidURI");
  const rest = target.slice(scheme.length);
  const end = rest.search(/[/?]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  if (authority.toLowerCase() !== host.toLowerCase()) throw new S3Error("InvalidURI");
  const path = end < 0 ? "/" : rest.slice(end);
  return path.startsWith("/") ? path : `/${path}`;
}

/** The longest domain decides, so that of `a.test` and `s3.a.test` the second is no bucket of the first. */
function bucketOfHost(host: string, domains: readonly string[]): string | undefined {
  const name = host.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
  let found: string | undefined;
  let longest = 0;
  for (const domain of domains) {
    if (name === domain) return undefined;
    if (domain.length > longest && name.endsWith(domain) && name.charAt(name.length - domain.length - 1) === ".") {
      longest = domain.length;
      found = name.slice(0, -domain.length - 1);
    }
  }
  return found === "" ? undefined : found;
}

/** A key of no bytes is no key: `/bucket/` names the bucket. */
function keyOf(key: string): string | undefined {
  if (key === "") return undefined;
  checkKeyLength(key);
  return key;
}

/** @throws S3Error KeyTooLongError */
export function checkKeyLength(key: string): void {
  // A UTF-16 unit is 3 bytes of UTF-8 at most.
  if (key.length * 3 <= MAX_KEY_BYTES) return;
  const bytes = Buffer.byteLength(key);
  if (bytes <= MAX_KEY_BYTES) return;
  throw new S3Error("KeyTooLongError", undefined, {
    fields: { Size: String(bytes), MaxSizeAllowed: String(MAX_KEY_BYTES) },
  });
}

function parseQuery(raw: string): Map<string, string> {
  const query = new Map<string, string>();
  for (const pair of raw.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = percentDecode(equals < 0 ? pair : pair.slice(0, equals), "query");
    const value = equals < 0 ? "" : percentDecode(pair.slice(equals + 1), "query");
    if (!query.has(name)) query.set(name, value);
  }
  return query;
}
