import type { Policy } from "./evaluate.js";
import { type IpRange, inRange, parseAddress, parseRange } from "./ip-range.js";
import type { Condition } from "./policy-condition.js";
import type { Statement } from "./policy-document.js";

/** S3 user guide, "The meaning of public": a fixed value of one of these makes a grant non-public. */
const FIXED_KEYS = new Set([
  "aws:principalorgid",
  "aws:principalarn",
  "aws:principalaccount",
  "aws:username",
  "aws:sourcearn",
  "aws:sourcevpc",
  "aws:sourcevpce",
  "aws:sourceowner",
  "aws:sourceaccount",
  "aws:userid",
  "s3:x-amz-server-side-encryption-aws-kms-key-id",
  "s3:dataaccesspointarn",
  "s3:dataaccesspointaccount",
]);

/** Operators under which a value is what the request has, not what it has not. */
const FIXING = new Set(["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"]);

const PRIVATE_RANGES = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map((text) => parseRange(text) as IpRange);
const BROADEST = { 4: 8, 16: 32 } as const;

/** Wider than /8 of IPv4 or /32 of IPv6 is the public, but for RFC 1918's networks. */
function isNarrow(text: string): boolean {
  const range = parseRange(text);
  if (!range || !parseAddress(text.split("/")[0] ?? "")) return false;
  if (range.prefixLength >= BROADEST[range.address.length as 4 | 16]) return true;
  return PRIVATE_RANGES.some((known) => range.prefixLength >= known.prefixLength && inRange(range.address, known));
}

function isFixed(value: unknown): boolean {
  return typeof value === "string" && !/[*?]|\$\{/.test(value);
}

/** A condition that the public does not meet. Where it is met without its key, it limits nothing. */
function limits({ operator, key, values, quantifier, ifExists }: Condition): boolean {
  if (ifExists || quantifier === "all") return false;
  if (key === "aws:sourceip") {
    return operator === "IpAddress" && values.every((value) => typeof value === "string" && isNarrow(value));
  }
  return FIXED_KEYS.has(key) && FIXING.has(operator) && values.every(isFixed);
}

function isPublicStatement({ principals, conditions }: Statement): boolean {
  const fixed = principals !== undefined && !principals.negated && !principals.everybody;
  return !fixed && !conditions.some(limits);
}

/** Whether a bucket's policy gives the public anything. Its denies do not count. */
export function isPublicPolicy(policy: Policy): boolean {
  return policy.allows.some(isPublicStatement);
}
