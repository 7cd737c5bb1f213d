import { S3Error } from "../src/errors/s3-error.js";
import type { Bucket } from "../src/model/bucket.js";
import { bucketDocument } from "./bucket-config.js";
import { CORS_RULES, type CorsRule, HEADER_NAME, isCorsMethod } from "./cors-document.js";
import type { S3Request, S3Response } from "./types.js";

/** Text with at most one `*`, split at it. */
interface Pattern {
  readonly start: string;
  /** Undefined: no `*`, the whole must be `start`. */
  readonly end: string | undefined;
}

interface Matcher {
  readonly methods: ReadonlySet<string>;
  readonly origins: readonly Pattern[];
  /** In lower case. */
  readonly headers: readonly Pattern[];
  /** What every answer under this rule has. */
  readonly fixed: Readonly<Record<string, string>>;
}

function patternOf(text: string): Pattern {
  const star = text.indexOf("*");
  return star < 0 ? { start: text, end: undefined } : { start: text.slice(0, star), end: text.slice(star + 1) };
}

function matches({ start, end }: Pattern, text: string): boolean {
  if (end === undefined) return text === start;
  return text.length >= start.length + end.length && text.startsWith(start) && text.endsWith(end);
}

const VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

function matcherOf(rule: CorsRule): Matcher {
  const fixed: Record<string, string> = { "access-control-allow-methods": rule.allowedMethods.join(", "), vary: VARY };
  if (rule.exposeHeaders.length > 0) fixed["access-control-expose-headers"] = rule.exposeHeaders.join(", ");
  if (rule.maxAgeSeconds !== undefined) fixed["access-control-max-age"] = String(rule.maxAgeSeconds);
  return {
    methods: new Set(rule.allowedMethods),
    origins: rule.allowedOrigins.map(patternOf),
    headers: rule.allowedHeaders.map((text) => patternOf(text.toLowerCase())),
    fixed,
  };
}

/** The bucket's rules as they are stored, or undefined. */
export const corsRulesOf = bucketDocument("cors", CORS_RULES);

const matchersOf = bucketDocument(
  "cors",
  CORS_RULES.transform((rules) => rules.map(matcherOf)),
);

/** More than any browser sends; without a bound the work of one anonymous request could be made large. */
const MAX_REQUESTED_HEADERS = 200;
/** An origin is echoed into a header: printable ASCII alone. */
const ORIGIN = /^[\x21-\x7e]+$/;

interface CrossOrigin {
  origin: string;
  method: string;
  /** In lower case; undefined where one is no header name. */
  headers: readonly string[] | undefined;
}

function requestedHeaders(text: string | undefined): readonly string[] | undefined {
  const names = (text ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
  return names.length <= MAX_REQUESTED_HEADERS && names.every((name) => HEADER_NAME.test(name)) ? names : undefined;
}

/** The headers of the first rule that allows all of it; undefined when none does. */
function allow(matchers: readonly Matcher[], asked: CrossOrigin): Record<string, string> | undefined {
  const { origin, method, headers } = asked;
  if (headers === undefined || !ORIGIN.test(origin)) return undefined;
  for (const rule of matchers) {
    const by = rule.origins.find((pattern) => matches(pattern, origin));
    if (!by || !rule.methods.has(method)) continue;
    if (!headers.every((name) => rule.headers.some((pattern) => matches(pattern, name)))) continue;
    const anyone = by.start === "" && by.end === "";
    const answer: Record<string, string> = { "access-control-allow-origin": anyone ? "*" : origin, ...rule.fixed };
    // Never with "*": who allows every origin did not name this one, and its visitors' credentials stay theirs.
    if (!anyone) answer["access-control-allow-credentials"] = "true";
    if (headers.length > 0) answer["access-control-allow-headers"] = headers.join(", ");
    return answer;
  }
  return undefined;
}

type Asking = Pick<S3Request, "method" | "bucket" | "key" | "headers">;

function refused(message: string, request: Asking, method: string): S3Error {
  const { bucket, key } = request;
  const resource = bucket === undefined ? "SERVICE" : key === undefined ? "BUCKET" : "OBJECT";
  const fields = { Method: method, ResourceType: resource };
  return new S3Error("AccessForbidden", `CORSResponse: ${message}`, { fields });
}

/**
 * The answer to a preflight, which nobody signs: `OPTIONS` on a bucket or an object (API reference, "OPTIONS object").
 *
 * @param bucket undefined where the request names none, or none that is there
 * @throws S3Error BadRequest where it is no preflight, NoSuchBucket, AccessForbidden where no rule of the bucket allows it
 */
export function preflight(request: Asking, bucket: Bucket | undefined): S3Response {
  const origin = request.headers.get("origin");
  if (origin === undefined || origin === "") {
    throw new S3Error("BadRequest", "Insufficient information. Origin request header needed.");
  }
  const method = request.headers.get("access-control-request-method");
  if (method === undefined || !isCorsMethod(method)) {
    throw new S3Error("BadRequest", `Invalid Access-Control-Request-Method: ${method ?? "null"}`);
  }
  if (!bucket && request.bucket !== undefined) throw new S3Error("NoSuchBucket");
  const matchers = bucket && matchersOf(bucket);
  if (!matchers) throw refused("CORS is not enabled for this bucket.", request, method);
  const headers = requestedHeaders(request.headers.get("access-control-request-headers"));
  const answer = allow(matchers, { origin, method, headers });
  if (!answer) {
    const why =
      "This CORS request is not allowed. This is usually because the evalution of Origin, request method / " +
      "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";
    throw refused(why, request, method);
  }
  return { status: 200, headers: answer };
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});
const ONLY_VARY: Readonly<Record<string, string>> = Object.freeze({ vary: VARY });

/**
 * What a bucket's CORS rules add to the answer of an actual request, errors included. Frozen and empty where the bucket has
 * no rules; `vary` alone where they do not allow the request, so that no cache gives one origin's answer to another.
 */
export function corsHeaders(request: Asking, bucket: Bucket): Readonly<Record<string, string>> {
  if (bucket.config.cors === undefined) return NO_HEADERS;
  const origin = request.headers.get("origin");
  const matchers = matchersOf(bucket);
  if (origin === undefined || !matchers) return ONLY_VARY;
  const method = request.headers.get("access-control-request-method") ?? request.method;
  const headers = requestedHeaders(request.headers.get("access-control-request-headers"));
  return allow(matchers, { origin, method, headers }) ?? ONLY_VARY;
}
