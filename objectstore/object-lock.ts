import { z } from "zod";
import { S3Error } from "../src/errors/s3-error.js";
import type { Bucket } from "../src/model/bucket.js";
import type { Retention } from "../src/model/object.js";
import { declaresDigest } from "./body/declared.js";
import { bucketDocument } from "./bucket-config.js";
import { parseIsoTime } from "./iso-time.js";
import { childOf, expectChildren, malformedXml, parseDocument, textOf, type XmlElement } from "./xml/read.js";
import { leaf, xmlDocument } from "./xml/write.js";

const DAY_MS = 86_400_000;
/** User guide, "Managing Object Lock": at most 100 years. */
const MAX_DAYS = 36_500;
const MAX_YEARS = 100;

const DEFAULT_RETENTION = z.strictObject({
  mode: z.enum(["GOVERNANCE", "COMPLIANCE"]),
  unit: z.enum(["days", "years"]),
  count: z.int().positive(),
});

/** What a bucket's object lock gives to new objects that say nothing themselves. */
export type DefaultRetention = z.infer<typeof DEFAULT_RETENTION>;

/** The default retention of a bucket, or undefined. @throws StorageError internal rather than none, when it is damaged */
export const defaultRetentionOf = bucketDocument("objectLock", DEFAULT_RETENTION);

function invalidHeader(name: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", message, { fields: { ArgumentName: name, ArgumentValue: value } });
}

function isMode(text: string): text is Retention["mode"] {
  return text === "GOVERNANCE" || text === "COMPLIANCE";
}

function retentionUntil(rule: DefaultRetention, nowMs: number): Retention {
  if (rule.unit === "days") return { mode: rule.mode, untilMs: nowMs + rule.count * DAY_MS };
  const until = new Date(nowMs);
  until.setUTCFullYear(until.getUTCFullYear() + rule.count);
  return { mode: rule.mode, untilMs: until.getTime() };
}

/** @throws S3Error InvalidRequest where the bucket has no object lock */
export function requireObjectLock(bucket: Bucket): void {
  if (!bucket.objectLock) throw new S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration");
}

const MODE = "x-amz-object-lock-mode";
const UNTIL = "x-amz-object-lock-retain-until-date";
const HOLD = "x-amz-object-lock-legal-hold";

/**
 * What is kept for years should be what was sent (API reference, PutObject, Content-MD5).
 *
 * @throws S3Error InvalidRequest of a body with a lock and no digest
 */
export function requireDigestWithLock(headers: ReadonlyMap<string, string>): void {
  if (!hasLockHeaders(headers) || declaresDigest(headers)) return;
  throw new S3Error(
    "InvalidRequest",
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
  );
}

/** Whether a write asks for a lock of its own. */
export function hasLockHeaders(headers: ReadonlyMap<string, string>): boolean {
  return headers.has(MODE) || headers.has(UNTIL) || headers.has(HOLD);
}

function retentionFromHeaders(headers: ReadonlyMap<string, string>, nowMs: number): Retention | null {
  const mode = headers.get(MODE);
  const until = headers.get(UNTIL);
  if (mode === undefined && until === undefined) return null;
  if (mode === undefined || until === undefined) {
    throw new S3Error("InvalidArgument", `${UNTIL} and ${MODE} must both be supplied`, {
      fields: { ArgumentName: mode === undefined ? MODE : UNTIL },
    });
  }
  if (!isMode(mode)) throw invalidHeader(MODE, mode, "Unknown wormMode directive.");
  const untilMs = parseIsoTime(until);
  if (untilMs === undefined) {
    throw invalidHeader(UNTIL, until, "The retain until date must be provided in ISO 8601 format");
  }
  if (untilMs <= nowMs) throw invalidHeader(UNTIL, until, "The retain until date must be in the future!");
  return { mode, untilMs };
}

function legalHoldFromHeaders(headers: ReadonlyMap<string, string>): boolean | null {
  const hold = headers.get(HOLD);
  if (hold === undefined) return null;
  if (hold === "OFF") return false;
  if (hold !== "ON") throw invalidHeader(HOLD, hold, "Legal Hold must be either of 'ON' or 'OFF'");
  return true;
}

/**
 * The lock of an object that is being written (PutObject, CopyObject, CreateMultipartUpload): what its headers ask for,
 * else the bucket's default retention from `nowMs` on.
 *
 * @throws S3Error InvalidRequest for lock headers where the bucket has no object lock, InvalidArgument for wrong ones
 */
export function lockOfNewObject(
  bucket: Bucket,
  headers: ReadonlyMap<string, string>,
  nowMs: number,
): { retention: Retention | null; legalHold: boolean | null } {
  if (hasLockHeaders(headers)) requireObjectLock(bucket);
  else if (!bucket.objectLock) return { retention: null, legalHold: null };
  const legalHold = legalHoldFromHeaders(headers);
  const asked = retentionFromHeaders(headers, nowMs);
  if (asked) return { retention: asked, legalHold };
  const rule = defaultRetentionOf(bucket);
  return { retention: rule ? retentionUntil(rule, nowMs) : null, legalHold };
}

/**
 * A `Retention` document (PutObjectRetention). Null, of an empty one: the retention is to be removed.
 *
 * @throws S3Error MalformedXML, InvalidArgument
 */
export function retentionFromXml(text: string, nowMs: number): Retention | null {
  const root = parseDocument(text, "Retention");
  expectChildren(root, ["Mode", "RetainUntilDate"]);
  const mode = textOf(root, "Mode");
  const until = textOf(root, "RetainUntilDate");
  if (mode === undefined && until === undefined) return null;
  if (mode === undefined || until === undefined) throw malformedXml("Retention needs Mode and RetainUntilDate");
  if (!isMode(mode)) throw malformedXml("Mode is GOVERNANCE or COMPLIANCE");
  const untilMs = parseIsoTime(until);
  if (untilMs === undefined) throw malformedXml("RetainUntilDate is an ISO 8601 time");
  if (untilMs <= nowMs) throw invalidHeader("RetainUntilDate", until, "The retain until date must be in the future!");
  return { mode, untilMs };
}

export function retentionXml(retention: Retention): string {
  const until = new Date(retention.untilMs).toISOString();
  return xmlDocument("Retention", leaf("Mode", retention.mode), leaf("RetainUntilDate", until));
}

/**
 * A `LegalHold` document (PutObjectLegalHold).
 *
 * @throws S3Error MalformedXML
 */
export function legalHoldFromXml(text: string): boolean {
  const root = parseDocument(text, "LegalHold");
  expectChildren(root, ["Status"]);
  const status = textOf(root, "Status");
  if (status !== "ON" && status !== "OFF") throw malformedXml("Status is ON or OFF");
  return status === "ON";
}

export function legalHoldXml(legalHold: boolean): string {
  return xmlDocument("LegalHold", leaf("Status", legalHold ? "ON" : "OFF"));
}

function positiveCount(text: string, unit: "Days" | "Years", most: number): number {
  if (!/^[+-]?\d{1,15}$/.test(text.trim())) throw malformedXml(`${unit} is a whole number`);
  const count = Number(text);
  const refuse = (message: string) => new S3Error("InvalidArgument", message, { fields: { ArgumentName: unit } });
  if (count <= 0) throw refuse("Default retention period must be a positive integer value.");
  if (count > most) throw refuse(`Default retention period must be at most ${most} ${unit.toLowerCase()}.`);
  return count;
}

function defaultRetentionFrom(rule: XmlElement): DefaultRetention {
  expectChildren(rule, ["DefaultRetention"]);
  const retention = childOf(rule, "DefaultRetention");
  if (!retention) throw malformedXml("Rule needs a DefaultRetention");
  expectChildren(retention, ["Mode", "Days", "Years"]);
  const mode = textOf(retention, "Mode");
  const days = textOf(retention, "Days");
  const years = textOf(retention, "Years");
  if (mode === undefined || !isMode(mode)) throw malformedXml("Mode is GOVERNANCE or COMPLIANCE");
  if (days !== undefined && years === undefined) {
    return { mode, unit: "days", count: positiveCount(days, "Days", MAX_DAYS) };
  }
  if (years !== undefined && days === undefined) {
    return { mode, unit: "years", count: positiveCount(years, "Years", MAX_YEARS) };
  }
  throw malformedXml("DefaultRetention needs either Days or Years");
}

/**
 * An `ObjectLockConfiguration` document. Null: object lock without a default retention.
 *
 * @throws S3Error MalformedXML, InvalidArgument
 */
export function objectLockFromXml(text: string): DefaultRetention | null {
  const root = parseDocument(text, "ObjectLockConfiguration");
  expectChildren(root, ["ObjectLockEnabled", "Rule"]);
  if (textOf(root, "ObjectLockEnabled") !== "Enabled") throw malformedXml("ObjectLockEnabled is Enabled");
  const rule = childOf(root, "Rule");
  return rule ? defaultRetentionFrom(rule) : null;
}

export function objectLockXml(rule: DefaultRetention | undefined): string {
  const enabled = leaf("ObjectLockEnabled", "Enabled");
  if (!rule) return xmlDocument("ObjectLockConfiguration", enabled);
  const count = leaf(rule.unit === "days" ? "Days" : "Years", rule.count);
  const retention = `<Rule><DefaultRetention>${leaf("Mode", rule.mode)}${count}</DefaultRetention></Rule>`;
  return xmlDocument("ObjectLockConfiguration", enabled, retention);
}
