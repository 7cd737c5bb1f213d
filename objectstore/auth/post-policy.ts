import { S3Error } from "../../src/errors/s3-error.js";
import { parseIsoTime } from "../iso-time.js";

/** A form's fields by lower-case name, `${filename}` filled in. */
export type FormValues = ReadonlyMap<string, string>;

export type PolicyCondition =
  | { readonly operator: "eq" | "starts-with"; readonly field: string; readonly value: string; readonly shown: string }
  | { readonly operator: "content-length-range"; readonly min: number; readonly max: number };

export interface PostPolicy {
  readonly expirationMs: number;
  readonly conditions: readonly PolicyCondition[];
}

/** How many bytes the file may have. */
export interface FileRange {
  readonly min: number;
  readonly max: number;
}

/** S3: "except x-amz-signature, file, policy, and field names that have an x-ignore- prefix". */
const EXEMPT: ReadonlySet<string> = new Set(["x-amz-signature", "file", "policy"]);
const IGNORED_PREFIX = "x-ignore-";

/** Whether a form's field may stand without a condition. */
export function isExempt(field: string): boolean {
  return EXEMPT.has(field) || field.startsWith(IGNORED_PREFIX);
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const COUNT = /^\d{1,15}$/;

/**
 * Reads a policy field (S3 API, "POST Policy").
 *
 * @throws S3Error InvalidPolicyDocument
 */
export function parsePostPolicy(field: string): PostPolicy {
  const document = parseJson(field);
  if (typeof document !== "object" || document === null || Array.isArray(document)) throw invalid("Invalid JSON.");
  const entries = new Map(Object.entries(document));
  const expiration = entries.get("expiration");
  if (typeof expiration !== "string") throw invalid("Policy missing expiration.");
  const expirationMs = parseIsoTime(expiration);
  if (expirationMs === undefined) throw invalid(`Invalid 'expiration' value: '${expiration}'`);
  const conditions = entries.get("conditions");
  if (!Array.isArray(conditions)) throw invalid("Policy missing conditions.");
  for (const name of entries.keys()) {
    if (name !== "expiration" && name !== "conditions") throw invalid(`Unexpected: '${name}'`);
  }
  return { expirationMs, conditions: conditions.map(parseCondition) };
}

function parseJson(field: string): unknown {
  const base64 = field.replace(/\s+/g, "");
  if (!BASE64.test(base64)) throw invalid("Invalid JSON.");
  // S3 has two escapes that JSON lacks: `\\$` and `\\v`.
  const text = Buffer.from(base64, "base64")
    .toString("utf8")
    .replace(/\\(.)/gs, (whole, char: string) => (char === "$" ? "$" : char === "v" ? "\\u000b" : whole));
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalid("Invalid JSON.");
  }
}

function parseCondition(condition: unknown): PolicyCondition {
  if (Array.isArray(condition)) return parseListed(condition);
  if (typeof condition !== "object" || condition === null) throw invalid("Invalid condition.");
  const [pair, ...others] = Object.entries(condition);
  if (!pair || others.length > 0) {
    throw invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.");
  }
  const [name, value] = pair as [string, unknown];
  if (typeof value !== "string") throw invalid("Invalid Simple-Condition: value must be a string.");
  return matching("eq", `$${name}`, value);
}

function parseListed(condition: readonly unknown[]): PolicyCondition {
  const [operator, first, second] = condition;
  const kind = typeof operator === "string" ? operator.toLowerCase() : "";
  if (kind === "content-length-range") {
    const [min, max] = [countOf(first), countOf(second)];
    if (condition.length === 3 && min !== undefined && max !== undefined) return { operator: kind, min, max };
    throw invalid("Invalid content-length-range: needs the least and the greatest count of bytes.");
  }
  if (kind !== "eq" && kind !== "starts-with") throw invalid(`Invalid condition operator: '${String(operator)}'`);
  if (condition.length !== 3 || typeof first !== "string" || typeof second !== "string" || !/^\$./.test(first)) {
    throw invalid(`Invalid ${kind} condition: needs a field that begins with $ and a value.`);
  }
  return matching(kind, first, second);
}

function matching(operator: "eq" | "starts-with", variable: string, value: string): PolicyCondition {
  return {
    operator,
    field: variable.slice(1).toLowerCase(),
    value,
    shown: JSON.stringify([operator, variable, value]),
  };
}

function countOf(value: unknown): number | undefined {
  const text = typeof value === "number" ? String(value) : value;
  return typeof text === "string" && COUNT.test(text) ? Number(text) : undefined;
}

/**
 * Holds a form against its policy: not expired, every condition met, and every field under a condition. The bucket is the
 * one that the request names, and counts as a field.
 *
 * @returns what content-length-range leaves for the file
 * @throws S3Error AccessDenied
 */
export function checkPostPolicy(policy: PostPolicy, values: FormValues, bucket: string, nowMs: number): FileRange {
  if (nowMs >= policy.expirationMs) throw denied("Policy expired.");
  const range = { min: 0, max: Number.POSITIVE_INFINITY };
  const covered = new Set<string>();
  for (const condition of policy.conditions) {
    if (condition.operator === "content-length-range") {
      range.min = Math.max(range.min, condition.min);
      range.max = Math.min(range.max, condition.max);
      continue;
    }
    covered.add(condition.field);
    const met =
      condition.field === "bucket"
        ? matches(condition, bucket) && matches(condition, values.get("bucket") ?? bucket)
        : matches(condition, values.get(condition.field));
    if (!met) throw denied(`Policy Condition failed: ${condition.shown}`);
  }
  const extra = ["bucket", ...values.keys()].filter((name) => !covered.has(name) && !isExempt(name));
  if (extra.length > 0) throw denied(`Extra input fields: ${[...new Set(extra)].join(", ")}`);
  return range;
}

type Matching = Extract<PolicyCondition, { value: string }>;

function matches(condition: Matching, value: string | undefined): boolean {
  if (value === undefined) return false;
  if (condition.operator === "eq") return value === condition.value;
  // S3: where Content-Type is a list, each must begin so.
  const values = condition.field === "content-type" ? value.split(",").map((part) => part.trim()) : [value];
  return values.every((part) => part.startsWith(condition.value));
}

function invalid(fault: string): S3Error {
  return new S3Error("InvalidPolicyDocument", `Invalid Policy: ${fault}`);
}

function denied(fault: string): S3Error {
  return new S3Error("AccessDenied", `Invalid according to Policy: ${fault}`);
}
