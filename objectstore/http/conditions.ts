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

function modifiedSince(date: string, lastModifiedMs: number): boolean | undefined {
  const ms = parseHttpDate(date);
  return ms === undefined ? undefined : second(lastModifiedMs) > second(ms);
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
    if (unmodified !== undefined && modifiedSince(unmodified, object.lastModifiedMs) === true) {
      return { failed: "If-Unmodified-Since" };
    }
  }
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== undefined) return etagListHas(ifNoneMatch, object.etag) ? "not-modified" : undefined;
  const modified = headers.get("if-modified-since");
  if (modified === undefined) return undefined;
  return modifiedSince(modified, object.lastModifiedMs) === false ? "not-modified" : undefined;
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
    if (!etagListHas(ifMatch, source.etag)) throw conditionFailed(`${prefix}if-match`);
  } else if (unmodified !== undefined) {
    const name = `${prefix}if-unmodified-since`;
    if (at > second(requiredDate(name, unmodified))) throw conditionFailed(name);
  }
  if (ifNoneMatch !== undefined) {
    if (etagListHas(ifNoneMatch, source.etag)) throw conditionFailed(`${prefix}if-none-match`);
  } else if (modified !== undefined) {
    const name = `${prefix}if-modified-since`;
    if (at <= second(requiredDate(name, modified))) throw conditionFailed(name);
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
