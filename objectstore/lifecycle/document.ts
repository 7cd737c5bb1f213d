import { randomBytes } from "node:crypto";
import { S3Error } from "../../src/errors/s3-error.js";
import { parseIsoTime } from "../iso-time.js";
import {
  childOf,
  childrenOf,
  expectChildren,
  malformedXml,
  parseDocument,
  textOf,
  type XmlElement,
} from "../xml/read.js";
import { element, leaf, optionalLeaf, timeLeaf, xmlDocument } from "../xml/write.js";
import { filterOf, filterXml, wholeNumber } from "./filter-document.js";
import type { LifecycleRule } from "./rule.js";

/** User guide, "Lifecycle configuration elements". */
const MAX_RULES = 1000;
const MAX_ID_LENGTH = 255;
const MAX_DAYS = 2 ** 31 - 1;
const MAX_NEWER_VERSIONS = 100;
const DAY_MS = 86_400_000;
export const MAX_LIFECYCLE_BYTES = 1024 ** 2;

const invalidRequest = (message: string) => new S3Error("InvalidRequest", message);
const invalidArgument = (message: string) => new S3Error("InvalidArgument", message);

function daysOf(text: string | undefined, name: string, action: string): number {
  if (text === undefined) throw malformedXml(`${action} needs ${name}`);
  const days = wholeNumber(text, name);
  if (days > 0 && days <= MAX_DAYS) return days;
  throw invalidArgument(`'${name}' for ${action} action must be a positive integer`);
}

function dateOf(text: string): number {
  const dateMs = parseIsoTime(text);
  if (dateMs === undefined) throw malformedXml("Date is an ISO 8601 time");
  if (dateMs % DAY_MS !== 0) throw invalidArgument("'Date' must be at midnight GMT");
  return dateMs;
}

function expirationOf(rule: XmlElement): LifecycleRule["expiration"] {
  const expiration = childOf(rule, "Expiration");
  if (!expiration) return undefined;
  expectChildren(expiration, ["Days", "Date", "ExpiredObjectDeleteMarker"]);
  if (expiration.children.length !== 1) {
    throw malformedXml("Expiration needs one of Days, Date and ExpiredObjectDeleteMarker");
  }
  const date = textOf(expiration, "Date");
  if (date !== undefined) return { dateMs: dateOf(date) };
  const marker = textOf(expiration, "ExpiredObjectDeleteMarker");
  if (marker === undefined) return { days: daysOf(textOf(expiration, "Days"), "Days", "Expiration") };
  if (marker !== "true" && marker !== "false") throw malformedXml("ExpiredObjectDeleteMarker is true or false");
  return { expiredObjectDeleteMarker: marker === "true" };
}

function noncurrentOf(rule: XmlElement, form: LifecycleRule["form"]): LifecycleRule["noncurrent"] {
  const noncurrent = childOf(rule, "NoncurrentVersionExpiration");
  if (!noncurrent) return undefined;
  expectChildren(noncurrent, ["NoncurrentDays", "NewerNoncurrentVersions"]);
  const days = daysOf(textOf(noncurrent, "NoncurrentDays"), "NoncurrentDays", "NoncurrentVersionExpiration");
  const newer = textOf(noncurrent, "NewerNoncurrentVersions");
  if (newer === undefined) return { days };
  const newerVersions = wholeNumber(newer, "NewerNoncurrentVersions");
  if (newerVersions < 1 || newerVersions > MAX_NEWER_VERSIONS) {
    throw invalidArgument(`'NewerNoncurrentVersions' must be between 1 and ${MAX_NEWER_VERSIONS}`);
  }
  if (form === "prefix") throw invalidRequest("NewerNoncurrentVersions can only be used with a Filter");
  return { days, newerVersions };
}

function abortDaysOf(rule: XmlElement): number | undefined {
  const abort = childOf(rule, "AbortIncompleteMultipartUpload");
  if (!abort) return undefined;
  expectChildren(abort, ["DaysAfterInitiation"]);
  return daysOf(textOf(abort, "DaysAfterInitiation"), "DaysAfterInitiation", "AbortIncompleteMultipartUpload");
}

/** Granary keeps every object in one place: a rule that moves objects would be kept and never followed. */
function refuseTransitions(rule: XmlElement): void {
  for (const name of ["Transition", "NoncurrentVersionTransition"]) {
    if (childOf(rule, name)) {
      throw new S3Error("NotImplemented", `${name} is not implemented: every object has the same storage`);
    }
  }
}

/** Uploads and delete markers have neither tags nor sizes (user guide, "Adding filters to lifecycle rules"). */
function refuseFiltersWithoutMeaning({ filter, expiration, abortDays }: LifecycleRule): void {
  const hasSize = filter.sizeGreaterThan !== undefined || filter.sizeLessThan !== undefined;
  const what = filter.tags.length > 0 ? "Tags" : hasSize ? "object sizes" : undefined;
  if (what === undefined) return;
  if (abortDays !== undefined) throw invalidRequest(`AbortIncompleteMultipartUpload cannot be specified with ${what}.`);
  if (expiration && "expiredObjectDeleteMarker" in expiration) {
    throw invalidRequest(`ExpiredObjectDeleteMarker cannot be specified with ${what}.`);
  }
}

function idOf(rule: XmlElement): string {
  const id = textOf(rule, "ID") ?? "";
  if (id.length > MAX_ID_LENGTH) throw invalidArgument(`ID length should not exceed allowed limit of ${MAX_ID_LENGTH}`);
  return id === "" ? randomBytes(36).toString("base64url") : id;
}

const ACTIONS = ["Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"];
const TRANSITIONS = ["Transition", "NoncurrentVersionTransition"];

function ruleOf(rule: XmlElement): LifecycleRule {
  expectChildren(rule, ["ID", "Prefix", "Filter", "Status", ...ACTIONS], TRANSITIONS);
  const status = textOf(rule, "Status");
  if (status !== "Enabled" && status !== "Disabled") throw malformedXml("Status is Enabled or Disabled");
  const { form, filter } = filterOf(rule);
  refuseTransitions(rule);
  if (!ACTIONS.some((name) => childOf(rule, name))) {
    throw invalidRequest("At least one action needs to be specified in a rule");
  }
  const expiration = expirationOf(rule);
  const noncurrent = noncurrentOf(rule, form);
  const abortDays = abortDaysOf(rule);
  const parsed: LifecycleRule = {
    id: idOf(rule),
    enabled: status === "Enabled",
    form,
    filter,
    ...(expiration ? { expiration } : {}),
    ...(noncurrent ? { noncurrent } : {}),
    ...(abortDays === undefined ? {} : { abortDays }),
  };
  refuseFiltersWithoutMeaning(parsed);
  return parsed;
}

/**
 * A `LifecycleConfiguration` document (API reference, PutBucketLifecycleConfiguration).
 *
 * @throws S3Error MalformedXML, InvalidArgument, InvalidRequest, InvalidTag, NotImplemented for transitions
 */
export function lifecycleFromXml(text: string): LifecycleRule[] {
  const root = parseDocument(text, "LifecycleConfiguration");
  expectChildren(root, [], ["Rule"]);
  const found = childrenOf(root, "Rule");
  if (found.length === 0) throw malformedXml("LifecycleConfiguration needs a Rule");
  if (found.length > MAX_RULES) throw invalidRequest(`A lifecycle configuration has at most ${MAX_RULES} rules`);
  const rules = found.map(ruleOf);
  if (new Set(rules.map(({ id }) => id)).size < rules.length) {
    throw invalidArgument("Rule ID must be unique. Found same ID for more than one rule");
  }
  const first = rules.some(({ form }) => form === "prefix");
  if (first && rules.some(({ form }) => form !== "prefix")) {
    throw invalidRequest("Filter element can only be used in Lifecycle V2.");
  }
  if (first) refuseOverlaps(rules);
  return rules;
}

/**
 * Of the first version of the API, whose rules have a Prefix of their own. A Filter may overlap with others (user guide,
 * "How Amazon S3 handles conflicts in lifecycle configurations").
 */
function refuseOverlaps(rules: readonly LifecycleRule[]): void {
  const actions = {
    Expiration: ({ expiration }: LifecycleRule) => expiration !== undefined,
    NoncurrentVersionExpiration: ({ noncurrent }: LifecycleRule) => noncurrent !== undefined,
    AbortIncompleteMultipartUpload: ({ abortDays }: LifecycleRule) => abortDays !== undefined,
  };
  for (const [action, has] of Object.entries(actions)) {
    // What begins with a prefix stands behind it, before all else.
    const prefixes = rules
      .filter(has)
      .map(({ filter }) => filter.prefix ?? "")
      .sort();
    for (const [i, prefix] of prefixes.entries()) {
      const next = prefixes[i + 1];
      if (next === undefined || !next.startsWith(prefix)) continue;
      const found =
        next === prefix ? `two rules with same prefix '${prefix}'` : `overlapping prefixes '${next}' and '${prefix}'`;
      throw invalidRequest(`Found ${found} for same action type '${action}'`);
    }
  }
}

function expirationXml(expiration: LifecycleRule["expiration"]): string {
  if (!expiration) return "";
  if ("days" in expiration) return element("Expiration", leaf("Days", expiration.days));
  if ("dateMs" in expiration) return element("Expiration", timeLeaf("Date", expiration.dateMs));
  return element("Expiration", leaf("ExpiredObjectDeleteMarker", expiration.expiredObjectDeleteMarker));
}

function noncurrentXml(noncurrent: LifecycleRule["noncurrent"]): string {
  if (!noncurrent) return "";
  const days = leaf("NoncurrentDays", noncurrent.days);
  return element(
    "NoncurrentVersionExpiration",
    days + optionalLeaf("NewerNoncurrentVersions", noncurrent.newerVersions),
  );
}

function abortXml(days: number | undefined): string {
  return days === undefined ? "" : element("AbortIncompleteMultipartUpload", leaf("DaysAfterInitiation", days));
}

export function lifecycleXml(rules: readonly LifecycleRule[]): string {
  const all = rules.map((rule) =>
    element(
      "Rule",
      leaf("ID", rule.id),
      filterXml(rule),
      leaf("Status", rule.enabled ? "Enabled" : "Disabled"),
      expirationXml(rule.expiration),
      noncurrentXml(rule.noncurrent),
      abortXml(rule.abortDays),
    ),
  );
  return xmlDocument("LifecycleConfiguration", ...all);
}
