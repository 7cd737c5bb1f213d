import { S3Error } from "../../src/errors/s3-error.js";
import { httpDate, parseHttpDate } from "./dates.js";

/** Of what a conditional request compares with. */
export interface Validators {
  /** Without quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number;
}

type Headers = ReadonlyMap<string, string>;

/** An entity tag without its quotes and without `W/`. S3 takes them unquoted too. */
export function bareEtag(text: string): string {
  let bare = text.trim();
  if (bare.startsWith("W/")) bare = bare.slice(2);
  return bare.length >= 2 && bare.startsWith('"') && bare.endsWith('"') ? bare.slice(1, -1) : bare;
}

/** Whether a list of entity tags, or `*`, names this one. */
export function etagListHas(list: string, etag: string): boolean {
  if (list === etag) return true;
  if (!list.includes(",")) {
    const bare = bareEtag(list);
    return bare === "*" || bare === etag;
  }
  return list.split(",").some((one) => bareEtag(one) === etag);
}

/** HTTP's dates have whole seconds. */
function second(ms: number): number {
  return Math.floor(ms / 1000);
}

/** If-Modified-Since of a time to come says nothing (RFC 2616, 14.25), and Amazon passes it over. */
function isToCome(ms: number): boolean {
  return ms > Date.now();
}

/** What a read's conditions come to: undefined to go on, or why not. */
export type ReadOutcome = undefined | "not-modified" | { readonly failed: string };

/**
 * The conditions of a GET or HEAD (GetObject, "Conditional requests"; RFC 9110, 13.2.2): If-Match decides over
 * If-Unmodified-Since, If-None-Match over If-Modified-Since, and a date that is none is ignored.
 */
export function readConditions(headers: Headers, object: Validators): ReadOutcome {
  const ifMatch = headers.get("if-match");
  if (ifMatch !== undefined) {
    if (!etagListHas(ifMatch, object.etag)) return { failed: "If-Match" };
  } else {
    const unmodified = headers.get("if-unmodified-since");
    const untilMs = unmodified === undefined ? undefined : parseHttpDate(unmodified);
    if (untilMs !== undefined && second(object.lastModifiedMs) > second(untilMs)) {
      return { failed: "If-Unmodified-Since" };
    }
  }
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== undefined) return etagListHas(ifNoneMatch, object.etag) ? "not-modified" : undefined;
  const modified = headers.get("if-modified-since");
  const sinceMs = modified === undefined ? undefined : parseHttpDate(modified);
  if (sinceMs === undefined || isToCome(sinceMs)) return undefined;
  return second(object.lastModifiedMs) <= second(sinceMs) ? "not-modified" : undefined;
}

/** The error of a condition that did not hold, with its header's name as S3 has it. */
export function conditionFailed(condition: string): S3Error {
  return new S3Error("PreconditionFailed", undefined, { fields: { Condition: condition } });
}

function requiredDate(name: string, text: string): number {
  const ms = parseHttpDate(text);
  if (ms !== undefined) return ms;
  throw new S3Error("InvalidArgument", `${name} must be an HTTP date such as ${httpDate(0)}`, {
    fields: { ArgumentName: name, ArgumentValue: text },
  });
}

/**
 * The conditions on the source of a copy or a rename: the four of a read, each named `prefix` + `if-...`. A failed one
 * is always 412, and a date that is none is an error: to ignore it would copy what was not to be copied.
 *
 * @throws S3Error PreconditionFailed, InvalidArgument
 */
export function checkSourceConditions(headers: Headers, prefix: string, source: Validators): void {
  const ifMatch = headers.get(`${prefix}if-match`);
  const unmodified = headers.get(`${prefix}if-unmodified-since`);
  const ifNoneMatch = headers.get(`${prefix}if-none-match`);
  const modified = headers.get(`${prefix}if-modified-since`);
  if (ifMatch === undefined && unmodified === undefined && ifNoneMatch === undefined && modified === undefined) return;
  const at = second(source.lastModifiedMs);
  if (ifMatch !== undefined) {
    if (!etagListHas(ifMatch, source.etag)) throw conditionFailed(`${prefix}If-Match`);
  } else if (unmodified !== undefined) {
    const name = `${prefix}If-Unmodified-Since`;
    if (at > second(requiredDate(name, unmodified))) throw conditionFailed(name);
  }
  if (ifNoneMatch !== undefined) {
    if (etagListHas(ifNoneMatch, source.etag)) throw conditionFailed(`${prefix}If-None-Match`);
  } else if (modified !== undefined) {
    const name = `${prefix}If-Modified-Since`;
    const sinceMs = requiredDate(name, modified);
    if (!isToCome(sinceMs) && at <= second(sinceMs)) throw conditionFailed(name);
  }
}

/**
 * If-Range (RFC 9110, 13.1.5): whether a Range still applies. Only a strong entity tag or the exact date says so; else
 * the whole object is sent, since the rest of another one would be wrong bytes.
 */
export function rangeStillApplies(headers: Headers, object: Validators): boolean {
  const ifRange = headers.get("if-range");
  if (ifRange === undefined) return true;
  const ms = parseHttpDate(ifRange);
  if (ms !== undefined) return second(ms) === second(object.lastModifiedMs);
  return !ifRange.startsWith("W/") && bareEtag(ifRange) === object.etag;
}
