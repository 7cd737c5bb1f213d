import { percentBytes, percentEncode } from "../http/percent.js";
import type { S3Request } from "../types.js";

/** Unreserved characters alone (RFC 3986): SigV4 leaves them as they are. */
const PLAIN = /^[A-Za-z0-9\-._~]*$/;
const PLAIN_PATH = /^[A-Za-z0-9\-._~/]*$/;
const SPACES = /[ \t]+/g;

/**
 * SigV4's canonical URI as S3 makes it: the path decoded once and encoded once, nothing collapsed (S3 API, "Signature
 * Calculations for the Authorization Header", step 1). Clients that leave `(` or `!` bare sign them encoded.
 */
export function canonicalPath(rawPath: string): string {
  return PLAIN_PATH.test(rawPath) ? rawPath : percentEncode(percentBytes(rawPath, false), "kept");
}

/** The canonical query: names and values encoded, sorted by name and then value, a bare name as `name=`; without `except`. */
export function canonicalQuery(rawQuery: string, except?: string): string {
  if (rawQuery === "") return "";
  const pairs: { name: string; value: string }[] = [];
  for (const pair of rawQuery.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = canonicalPart(equals < 0 ? pair : pair.slice(0, equals));
    if (name !== except) pairs.push({ name, value: equals < 0 ? "" : canonicalPart(pair.slice(equals + 1)) });
  }
  pairs.sort((a, b) => order(a.name, b.name) || order(a.value, b.value));
  let joined = "";
  for (const { name, value } of pairs) joined += `${joined === "" ? "" : "&"}${name}=${value}`;
  return joined;
}

function canonicalPart(raw: string): string {
  return PLAIN.test(raw) ? raw : percentEncode(percentBytes(raw, true), "encoded");
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `name:value\n` of each signed header, in the order of the list; a header that was not sent has no value. */
export function canonicalHeaders(request: S3Request, signedHeaders: readonly string[]): string {
  let lines = "";
  for (const name of signedHeaders) lines += `${name}:${canonicalValue(request, name)}\n`;
  return lines;
}

function canonicalValue(request: S3Request, name: string): string {
  const value = request.headers.get(name);
  if (value === undefined) return "";
  // Of a header that came more than once, SigV4 joins the values with a comma alone.
  const joined = value.includes(", ") ? repeatedValue(request, name, value) : value;
  return joined.includes("  ") || joined.includes("\t") ? joined.replace(SPACES, " ").trim() : joined.trim();
}

function repeatedValue(request: S3Request, name: string, value: string): string {
  const raw = request.message.rawHeaders;
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() === name) values.push((raw[i + 1] as string).trim());
  }
  return values.length > 1 ? values.join(",") : value;
}
