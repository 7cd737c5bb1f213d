import { describe, expect, it } from "vitest";
import { isAllowed } from "../../objectstore/access/decide.js";
import { anonymous, as, bob, bucket, question, type RequestFacts, statement } from "./s3-access-fixtures.js";

/** Whether a condition on an otherwise open statement is met. Values of a need beat those of the request. */
function met(condition: unknown, values: Record<string, string[]> = {}, facts: RequestFacts = {}): boolean {
  const of = bucket({ policyDocument: statement({ Condition: condition }) });
  const need = { action: "s3:GetObject", key: "k", conditions: () => new Map(Object.entries(values)) };
  return isAllowed(question(anonymous, need, { bucket: of, ...facts }));
}

/** The key of the tables: one that a need can give any values. */
const KEY = "s3:x-amz-acl";
const under = (operator: string, wanted: unknown) => ({ [operator]: { [KEY]: wanted } });

describe("condition operators", () => {
  // operator, the policy's value, the request's value, met
  it.each<[string, unknown, string, boolean]>([
    ["StringEquals", "a", "a", true],
    ["StringEquals", "a", "A", false],
    ["StringEquals", "a*", "ab", false],
    ["StringEquals", "a*", "a*", true],
    ["StringEquals", ["x", "a"], "a", true],
    ["StringEquals", 10, "10", true],
    ["StringEquals", true, "true", true],
    ["StringNotEquals", "a", "a", false],
    ["StringNotEquals", "a", "b", true],
    ["StringNotEquals", ["a", "b"], "b", false],
    ["StringNotEquals", ["a", "b"], "c", true],
    ["StringEqualsIgnoreCase", "aBc", "AbC", true],
    ["StringEqualsIgnoreCase", "abc", "abd", false],
    ["StringNotEqualsIgnoreCase", "aBc", "AbC", false],
    ["StringNotEqualsIgnoreCase", "abc", "abd", true],
    ["StringLike", "a*", "abc", true],
    ["StringLike", "a?c", "abc", true],
    ["StringLike", "a?c", "ac", false],
    ["StringLike", "A*", "abc", false],
    ["StringNotLike", "a*", "abc", false],
    ["StringNotLike", ["x*", "a*"], "abc", false],
    ["StringNotLike", "a*", "bc", true],
    ["NumericEquals", "10", "10.0", true],
    ["NumericEquals", 10, "11", false],
    ["NumericNotEquals", "10", "10", false],
    ["NumericNotEquals", "10", "11", true],
    ["NumericNotEquals", "10", "ten", true],
    ["NumericLessThan", "10", "9", true],
    ["NumericLessThan", "10", "10", false],
    ["NumericLessThan", "10", "", false],
    ["NumericLessThan", "10", "0x1", false],
    ["NumericLessThanEquals", "10", "10", true],
    ["NumericLessThanEquals", "10", "100", false],
    ["NumericGreaterThan", "9", "10", true],
    ["NumericGreaterThan", "10", "10", false],
    ["NumericGreaterThanEquals", "10", "10", true],
    ["NumericGreaterThanEquals", "-1.5", "-2", false],
    ["DateEquals", "2024-05-01T00:00:00Z", "2024-05-01T02:00:00+02:00", true],
    ["DateEquals", "2024-05-01", "2024-05-01T00:00:00.000Z", true],
    ["DateEquals", "1714521600", "2024-05-01T00:00:00Z", true],
    ["DateNotEquals", "2024-05-01T00:00Z", "2024-05-01T00:00:00Z", false],
    ["DateNotEquals", "2024-05-01T00:00Z", "2024-05-01T00:00:01Z", true],
    ["DateLessThan", "2024-05-01T00:00:00Z", "2024-04-30T23:59:59Z", true],
    ["DateLessThan", "2024-05-01T00:00:00Z", "yesterday", false],
    ["DateLessThanEquals", "2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z", true],
    ["DateGreaterThan", "2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z", false],
    ["DateGreaterThan", "2024-05-01T00:00:00Z", "2024-05-01T00:00:00.001Z", true],
    ["DateGreaterThanEquals", "2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z", true],
    ["Bool", "true", "true", true],
    ["Bool", true, "TRUE", true],
    ["Bool", "false", "true", false],
    ["Bool", "false", "no", false],
    ["BinaryEquals", "QmFy", "QmFy", true],
    ["BinaryEquals", "QmFy", "QmF6", false],
    ["IpAddress", "203.0.113.0/24", "203.0.113.255", true],
    ["IpAddress", "203.0.113.0/24", "203.0.114.0", false],
    ["IpAddress", "203.0.113.9", "203.0.113.9", true],
    ["IpAddress", "203.0.113.128/25", "203.0.113.127", false],
    ["IpAddress", "0.0.0.0/0", "8.8.8.8", true],
    ["IpAddress", "0.0.0.0/0", "2001:db8::1", false],
    ["IpAddress", "2001:db8::/33", "2001:db8:7fff::1", true],
    ["IpAddress", "2001:db8::/33", "2001:db8:8000::1", false],
    ["IpAddress", "2001:DB8:0:0:0:0:0:1", "2001:db8::1", true],
    ["IpAddress", "10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["IpAddress", "::ffff:10.0.0.0/104", "10.1.2.3", true],
    ["IpAddress", "fe80::/10", "fe80::1%eth0", true],
    ["IpAddress", "10.0.0.0/8", "nowhere", false],
    ["NotIpAddress", "203.0.113.0/24", "203.0.113.1", false],
    ["NotIpAddress", ["203.0.113.0/24", "10.0.0.0/8"], "10.9.9.9", false],
    ["NotIpAddress", "203.0.113.0/24", "198.51.100.1", true],
    ["ArnEquals", "arn:aws:iam:::user/bob", "arn:aws:iam:::user/bob", true],
    ["ArnEquals", "arn:aws:iam:::user/b*", "arn:aws:iam:::user/bob", true],
    ["ArnLike", "arn:aws:*:::user/bob", "arn:aws:iam:::user/bob", true],
    ["ArnLike", "arn:*:user/bob:x:y:z", "arn:aws:iam:::user/bob", false],
    ["ArnLike", "arn:aws:s3:::a:*", "arn:aws:s3:::a:b:c", true],
    ["ArnLike", "*", "arn:aws:iam:::user/bob", true],
    ["ArnLike", "arn:aws:iam:::user/bob", "bob", false],
    ["ArnNotEquals", "arn:aws:iam:::user/bob", "arn:aws:iam:::user/bob", false],
    ["ArnNotLike", "arn:aws:iam:::user/c*", "arn:aws:iam:::user/bob", true],
  ])("%s %j of %j: %j", (operator, wanted, actual, expected) => {
    expect(met(under(operator, wanted), { [KEY]: [actual] })).toBe(expected);
  });
});

const POSITIVE = [
  ["StringEquals", "a"],
  ["StringEqualsIgnoreCase", "a"],
  ["StringLike", "*"],
  ["NumericEquals", "1"],
  ["NumericLessThan", "1"],
  ["NumericLessThanEquals", "1"],
  ["NumericGreaterThan", "1"],
  ["NumericGreaterThanEquals", "1"],
  ["DateEquals", "2024-05-01"],
  ["DateLessThan", "2024-05-01"],
  ["DateLessThanEquals", "2024-05-01"],
  ["DateGreaterThan", "2024-05-01"],
  ["DateGreaterThanEquals", "2024-05-01"],
  ["Bool", "true"],
  ["BinaryEquals", "QmFy"],
  ["IpAddress", "0.0.0.0/0"],
  ["ArnEquals", "*"],
  ["ArnLike", "*"],
] as const;
const NEGATIVE = [
  ["StringNotEquals", "a"],
  ["StringNotEqualsIgnoreCase", "a"],
  ["StringNotLike", "*"],
  ["NumericNotEquals", "1"],
  ["DateNotEquals", "2024-05-01"],
  ["NotIpAddress", "0.0.0.0/0"],
  ["ArnNotEquals", "*"],
  ["ArnNotLike", "*"],
] as const;

describe("hole: a condition whose key the request does not have", () => {
  it.each(POSITIVE)("%s: not met", (operator, value) => {
    expect(met(under(operator, value))).toBe(false);
  });
  it.each(NEGATIVE)("%s: met", (operator, value) => {
    expect(met(under(operator, value))).toBe(true);
  });
  it.each([...POSITIVE, ...NEGATIVE])("%sIfExists: met", (operator, value) => {
    expect(met(under(`${operator}IfExists`, value))).toBe(true);
  });
  it.each([...POSITIVE, ...NEGATIVE])("ForAllValues:%s: met", (operator, value) => {
    expect(met(under(`ForAllValues:${operator}`, value))).toBe(true);
    expect(met(under(`ForAllValues:${operator}`, value), { [KEY]: [] })).toBe(true);
  });
  it.each([...POSITIVE, ...NEGATIVE])("ForAnyValue:%s: not met", (operator, value) => {
    expect(met(under(`ForAnyValue:${operator}`, value))).toBe(false);
    expect(met(under(`ForAnyValue:${operator}`, value), { [KEY]: [] })).toBe(false);
  });
  it("ForAnyValue:...IfExists: met", () => {
    expect(met(under("ForAnyValue:StringEqualsIfExists", "a"))).toBe(true);
  });
});

describe("IfExists", () => {
  it("with the key: as without it", () => {
    expect(met(under("StringEqualsIfExists", "a"), { [KEY]: ["a"] })).toBe(true);
    expect(met(under("StringEqualsIfExists", "a"), { [KEY]: ["b"] })).toBe(false);
    expect(met(under("StringNotEqualsIfExists", "a"), { [KEY]: ["a"] })).toBe(false);
    expect(met(under("BoolIfExists", "true"), { [KEY]: ["false"] })).toBe(false);
  });
});

describe("keys of several values", () => {
  const TAGS = "s3:RequestObjectTagKeys";
  const tags = (operator: string, wanted: string[], actual: string[]) =>
    met({ [operator]: { [TAGS]: wanted } }, { [TAGS.toLowerCase()]: actual });

  it.each<[string, string[], string[], boolean]>([
    ["ForAllValues:StringEquals", ["a", "b"], ["a"], true],
    ["ForAllValues:StringEquals", ["a", "b"], ["a", "b"], true],
    ["ForAllValues:StringEquals", ["a", "b"], ["a", "c"], false],
    ["ForAllValues:StringNotEquals", ["a", "b"], ["c", "d"], true],
    ["ForAllValues:StringNotEquals", ["a", "b"], ["c", "a"], false],
    ["ForAllValues:StringLike", ["a*"], ["ab", "ac"], true],
    ["ForAnyValue:StringEquals", ["a", "b"], ["x", "b"], true],
    ["ForAnyValue:StringEquals", ["a", "b"], ["x", "y"], false],
    ["ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], true],
    ["ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], false],
    ["StringEquals", ["a"], ["x", "a"], true],
    ["StringNotEquals", ["a"], ["x", "a"], false],
  ])("%s %j of %j: %j", (operator, wanted, actual, expected) => {
    expect(tags(operator, wanted, actual)).toBe(expected);
  });
});

describe("Null", () => {
  it.each<[unknown, string[] | undefined, boolean]>([
    ["true", undefined, true],
    ["true", [], true],
    ["true", ["x"], false],
    [false, undefined, false],
    ["false", ["x"], true],
    ["false", [""], true],
    [["true", "false"], ["x"], true],
  ])("%j of %j: %j", (wanted, actual, expected) => {
    expect(met({ Null: { [KEY]: wanted } }, actual ? { [KEY]: actual } : {})).toBe(expected);
  });
});

describe("several conditions", () => {
  it("all operators and all keys are needed; of one key's values, one", () => {
    const condition = {
      StringEquals: { "aws:Referer": ["http://a/", "http://b/"], "aws:UserAgent": "curl" },
      Bool: { "aws:SecureTransport": "true" },
    };
    const facts = { headers: { referer: "http://b/", "user-agent": "curl" }, secure: true };
    expect(met(condition, {}, facts)).toBe(true);
    expect(met(condition, {}, { ...facts, secure: false })).toBe(false);
    expect(met(condition, {}, { ...facts, headers: { referer: "http://b/" } })).toBe(false);
    expect(met(condition, {}, { ...facts, headers: { referer: "http://c/", "user-agent": "curl" } })).toBe(false);
  });

  it("an empty block asks nothing", () => {
    expect(met({})).toBe(true);
    expect(met({ StringEquals: {} })).toBe(true);
  });

  it("a value of a caller's: bob is not the public", () => {
    const of = bucket({ policyDocument: statement({ Condition: { StringEquals: { "aws:username": "bob" } } }) });
    const need = { action: "s3:GetObject", key: "k" };
    expect(isAllowed(question(as(bob), need, { bucket: of }))).toBe(true);
    expect(isAllowed(question(anonymous, need, { bucket: of }))).toBe(false);
  });
});
