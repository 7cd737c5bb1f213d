import { describe, expect, it } from "vitest";
import {
  daysAfter,
  dueNow,
  firstAbort,
  firstExpiry,
  isForTags,
  type Seen,
} from "../../objectstore/lifecycle/evaluate.js";
import { abortHeaders, expirationHeader } from "../../objectstore/lifecycle/headers.js";
import { sharedPrefix } from "../../objectstore/lifecycle/prefix.js";
import type { Lifecycle, LifecycleRule } from "../../objectstore/lifecycle/rule.js";
import type { Bucket } from "../../src/model/bucket.js";
import type { ObjectVersion } from "../../src/model/object.js";

const DAY = 86_400_000;
const at = (text: string) => Date.parse(text);

function rule(part: Partial<LifecycleRule> & { prefix?: string } = {}): LifecycleRule {
  const { prefix, ...rest } = part;
  return {
    id: "r",
    enabled: true,
    form: "and",
    filter: { tags: [], ...(prefix === undefined ? {} : { prefix }) },
    ...rest,
  };
}

function seen(part: Partial<Seen> = {}): Seen {
  return {
    key: "logs/a",
    sizeBytes: 100,
    lastModifiedMs: at("2026-01-15T10:30:00Z"),
    deleteMarker: false,
    noncurrentSinceMs: undefined,
    newerNoncurrent: 0,
    alone: true,
    ...part,
  };
}

const action = (rules: LifecycleRule[], version: Seen, now: string, dayMs = DAY) =>
  dueNow(rules, version, { nowMs: at(now), dayMs })?.action;

describe("an age in days", () => {
  it.each([
    ["2014-01-15T10:30:00Z", 3, "2014-01-19T00:00:00Z"],
    ["2014-01-15T00:00:00Z", 3, "2014-01-18T00:00:00Z"],
    ["2014-01-15T00:00:00.001Z", 1, "2014-01-17T00:00:00Z"],
    ["2024-02-28T12:00:00Z", 1, "2024-03-01T00:00:00Z"],
  ])("%s and %d days: over at %s, a midnight UTC", (from, days, until) => {
    expect(new Date(daysAfter(at(from), days, DAY)).toISOString()).toBe(new Date(at(until)).toISOString());
  });

  it("a day of ten seconds: midnight is every ten seconds", () => {
    expect(daysAfter(12_345, 2, 10_000)).toBe(40_000);
  });
});

describe("current versions", () => {
  const days = rule({ expiration: { days: 3 } });

  it.each([
    ["a moment before", "2026-01-18T23:59:59.999Z", undefined],
    ["at midnight", "2026-01-19T00:00:00Z", "expire"],
    ["long after", "2030-01-01T00:00:00Z", "expire"],
  ])("days, %s: %s", (_, now, expected) => {
    expect(action([days], seen(), now)).toBe(expected);
  });

  it.each([
    ["before the date", "2026-02-28T23:59:59Z", undefined],
    ["at the date", "2026-03-01T00:00:00Z", "expire"],
  ])("a date, %s: %s", (_, now, expected) => {
    const byDate = rule({ expiration: { dateMs: at("2026-03-01T00:00:00Z") } });
    expect(action([byDate], seen(), now)).toBe(expected);
    expect(action([byDate], seen({ lastModifiedMs: at("2026-02-28T23:00:00Z") }), now)).toBe(expected);
  });

  it.each<[string, Partial<LifecycleRule> & { prefix?: string }, boolean]>([
    ["no filter", {}, true],
    ["its prefix", { prefix: "logs/" }, true],
    ["another prefix", { prefix: "log/" }, false],
    ["an empty prefix", { prefix: "" }, true],
    ["disabled", { enabled: false }, false],
    ["smaller than the size asked for", { filter: { tags: [], sizeGreaterThan: 100 } }, false],
    ["larger than the least", { filter: { tags: [], sizeGreaterThan: 99 } }, true],
    ["as large as the most", { filter: { tags: [], sizeLessThan: 100 } }, false],
    ["smaller than the most", { filter: { tags: [], sizeLessThan: 101 } }, true],
    [
      "of noncurrent versions only",
      { expiration: undefined, noncurrent: { days: 1 } } as Partial<LifecycleRule>,
      false,
    ],
    ["of delete markers only", { expiration: { expiredObjectDeleteMarker: true } }, false],
  ])("a rule with %s: %j due %j", (_, part, due) => {
    expect(action([rule({ expiration: { days: 1 }, ...part })], seen(), "2030-01-01T00:00:00Z")).toBe(
      due ? "expire" : undefined,
    );
  });

  it("a rule with tags: named, so that the tags are read before it is carried out", () => {
    const tagged = rule({ expiration: { days: 1 }, filter: { tags: [["k", "v"]] } });
    const due = dueNow([tagged, rule({ enabled: false, expiration: { days: 1 } })], seen(), {
      nowMs: at("2030-01-01"),
      dayMs: DAY,
    });
    expect(due).toEqual({ action: "expire", rules: [tagged] });
    expect(
      isForTags(tagged, [
        ["a", "b"],
        ["k", "v"],
      ]),
    ).toBe(true);
    expect(isForTags(tagged, [["k", "w"]])).toBe(false);
    expect(isForTags(tagged, [])).toBe(false);
  });
});

describe("delete markers", () => {
  const late = "2030-01-01T00:00:00Z";
  const marker = (part: Partial<Seen> = {}) => seen({ deleteMarker: true, sizeBytes: 0, ...part });
  const ends = rule({ expiration: { expiredObjectDeleteMarker: true } });

  it("alone, a rule for them: removed, whatever its age", () => {
    expect(action([ends], marker(), "2026-01-15T10:30:01Z")).toBe("remove");
  });

  it("over other versions: kept", () => {
    expect(action([ends, rule({ expiration: { days: 1 } })], marker({ alone: false }), late)).toBeUndefined();
  });

  it("the rule is off: kept", () => {
    expect(action([rule({ expiration: { expiredObjectDeleteMarker: false } })], marker(), late)).toBeUndefined();
  });

  it("alone, a rule by age: removed once it has it", () => {
    const days = rule({ expiration: { days: 3 } });
    expect(action([days], marker(), "2026-01-18T00:00:00Z")).toBeUndefined();
    expect(action([days], marker(), "2026-01-19T00:00:00Z")).toBe("remove");
  });

  it("a rule by tag or size: not for them, which have none", () => {
    const byTag = rule({ expiration: { days: 1 }, filter: { tags: [["k", "v"]] } });
    const bySize = rule({ expiration: { days: 1 }, filter: { tags: [], sizeLessThan: 5 } });
    expect(action([byTag, bySize], marker(), late)).toBeUndefined();
  });

  it("noncurrent: removed as any noncurrent version", () => {
    const version = marker({ noncurrentSinceMs: at("2026-01-16"), alone: false });
    expect(action([rule({ noncurrent: { days: 1 } })], version, late)).toBe("remove");
  });
});

describe("noncurrent versions", () => {
  const since = at("2026-02-01T12:00:00Z");
  const version = (newerNoncurrent: number) => seen({ noncurrentSinceMs: since, newerNoncurrent, alone: false });

  it.each([
    ["2026-02-04T23:59:59Z", undefined],
    ["2026-02-05T00:00:00Z", "remove"],
  ])("three days since the next version came, at %s: %s", (now, expected) => {
    expect(action([rule({ noncurrent: { days: 3 } })], version(0), now)).toBe(expected);
  });

  it.each([
    [0, undefined],
    [1, undefined],
    [2, "remove"],
    [3, "remove"],
  ])("two newer ones are to be kept, %d are newer: %s", (newer, expected) => {
    expect(action([rule({ noncurrent: { days: 1, newerVersions: 2 } })], version(newer), "2030-01-01")).toBe(expected);
  });

  it("a rule for current versions: not for them", () => {
    expect(action([rule({ expiration: { days: 1 } })], version(0), "2030-01-01")).toBeUndefined();
  });
});

describe("what answers say of it", () => {
  function bucket(...rules: LifecycleRule[]): Bucket {
    const lifecycle: Lifecycle = { minimumObjectSize: "all_storage_classes_128K", rules };
    return {
      ...{ name: "b", ownerId: "o", createdMs: 0, region: "us-east-1", versioning: "off", objectLock: false },
      ...{ durability: "strict", quotaBytes: null, quotaObjects: null, revision: 1 },
      config: { lifecycle: JSON.stringify(lifecycle) },
    };
  }

  const object = {
    ...{ key: "logs/a", sizeBytes: 100, lastModifiedMs: at("2026-01-15T10:30:00Z"), isLatest: true },
    attributes: { tags: [["k", "v"]] },
  } as unknown as ObjectVersion;

  it("several rules: the one that is due first", () => {
    const rules = [
      rule({ id: "late", expiration: { days: 9 } }),
      rule({ id: "first one/a", expiration: { days: 2 }, filter: { tags: [["k", "v"]] } }),
      rule({ id: "other tag", expiration: { days: 1 }, filter: { tags: [["k", "w"]] } }),
    ];
    expect(expirationHeader(bucket(...rules), object, DAY)).toBe(
      'expiry-date="Sun, 18 Jan 2026 00:00:00 GMT", rule-id="first%20one/a"',
    );
  });

  it("no rule for it, or no current version: nothing", () => {
    expect(expirationHeader(bucket(rule({ prefix: "x", expiration: { days: 1 } })), object, DAY)).toBeUndefined();
    expect(
      expirationHeader(bucket(rule({ expiration: { days: 1 } })), { ...object, isLatest: false }, DAY),
    ).toBeUndefined();
    expect(firstExpiry([], { ...object, tags: [] }, DAY)).toBeUndefined();
  });

  it("an upload: when it ends, and by which rule", () => {
    const rules = [rule({ id: "x", abortDays: 2, prefix: "logs/" }), rule({ id: "y", abortDays: 1, prefix: "other/" })];
    expect(abortHeaders(bucket(...rules), { key: "logs/a", initiatedMs: at("2026-01-15T10:30:00Z") }, DAY)).toEqual({
      "x-amz-abort-date": "Sun, 18 Jan 2026 00:00:00 GMT",
      "x-amz-abort-rule-id": "x",
    });
    expect(abortHeaders(bucket(...rules), { key: "none", initiatedMs: 0 }, DAY)).toEqual({});
    expect(firstAbort([rule({ enabled: false, abortDays: 1 })], { key: "k", initiatedMs: 0 }, DAY)).toBeUndefined();
  });

  it("hole: CRLF in a rule's id: encoded, never a header of its own", () => {
    const evil = rule({ id: 'a"\r\nset-cookie: b', expiration: { days: 1 }, abortDays: 1 });
    expect(expirationHeader(bucket(evil), object, DAY)).toMatch(/^[\x20-\x7e]+rule-id="a%22%0D%0Aset-cookie%3A%20b"$/);
    expect(abortHeaders(bucket(evil), { key: "k", initiatedMs: 0 }, DAY)["x-amz-abort-rule-id"]).not.toMatch(/[\r\n]/);
  });
});

describe("the prefix that rules share", () => {
  it.each([
    [[], ""],
    [["logs/a"], "logs/a"],
    [["logs/a", "logs/b"], "logs/"],
    [["logs/", "tmp/"], ""],
    [["logs/", undefined], ""],
    [["a", "ab"], "a"],
    [["a😀", "a😁"], "a"],
  ])("%j: %j", (prefixes, shared) => {
    const rules = prefixes.map((prefix) => rule(prefix === undefined ? {} : { prefix }));
    expect(sharedPrefix(rules)).toBe(shared);
  });
});
