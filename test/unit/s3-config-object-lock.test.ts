import { describe, expect, it } from "vitest";
import { parseIsoTime } from "../../objectstore/iso-time.js";
import {
  defaultRetentionOf,
  legalHoldFromXml,
  lockOfNewObject,
  objectLockFromXml,
  objectLockXml,
  retentionFromXml,
  retentionXml,
} from "../../objectstore/object-lock.js";
import { S3Error, toS3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";

const NOW = Date.UTC(2026, 0, 31, 12);
const DAY = 86_400_000;

function bucketWith(objectLock: boolean, stored?: string): Bucket {
  return {
    name: "b",
    ownerId: "o",
    createdMs: 0,
    region: "us-east-1",
    versioning: objectLock ? "enabled" : "off",
    objectLock,
    durability: "strict",
    quotaBytes: null,
    quotaObjects: null,
    config: stored === undefined ? {} : { objectLock: stored },
    revision: 1,
  };
}

function withRule(xml: string): Bucket {
  return bucketWith(true, JSON.stringify(objectLockFromXml(xml)));
}

const rule = (mode: string, period: string) =>
  `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>${mode}</Mode>${period}</DefaultRetention></Rule></ObjectLockConfiguration>`;

const headers = (pairs: Record<string, string>) =>
  new Map(Object.entries(pairs).map(([name, value]) => [`x-amz-object-lock-${name}`, value]));

function codeOf(run: () => unknown): string {
  try {
    run();
    return "fine";
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

describe("the lock of a new object", () => {
  it("no headers, a bucket without object lock: none", () => {
    expect(lockOfNewObject(bucketWith(false), new Map(), NOW)).toEqual({ retention: null, legalHold: null });
  });

  it("no headers, a default of days: from now on", () => {
    const bucket = withRule(rule("GOVERNANCE", "<Days>3</Days>"));
    expect(lockOfNewObject(bucket, new Map(), NOW).retention).toEqual({ mode: "GOVERNANCE", untilMs: NOW + 3 * DAY });
  });

  it("no headers, a default of years: the same day of a later year", () => {
    const bucket = withRule(rule("COMPLIANCE", "<Years>2</Years>"));
    expect(lockOfNewObject(bucket, new Map(), NOW).retention).toEqual({
      mode: "COMPLIANCE",
      untilMs: Date.UTC(2028, 0, 31, 12),
    });
  });

  it("headers: theirs, not the default", () => {
    const bucket = withRule(rule("GOVERNANCE", "<Days>3</Days>"));
    const asked = headers({ mode: "COMPLIANCE", "retain-until-date": "2026-02-01T00:00:00Z", "legal-hold": "ON" });
    expect(lockOfNewObject(bucket, asked, NOW)).toEqual({
      retention: { mode: "COMPLIANCE", untilMs: Date.UTC(2026, 1, 1) },
      legalHold: true,
    });
  });

  it("a legal hold alone: the default retention beside it", () => {
    const bucket = withRule(rule("GOVERNANCE", "<Days>3</Days>"));
    const lock = lockOfNewObject(bucket, headers({ "legal-hold": "ON" }), NOW);
    expect([lock.retention?.mode, lock.legalHold]).toEqual(["GOVERNANCE", true]);
  });

  it.each([
    ["a mode alone", { mode: "GOVERNANCE" }],
    ["a date alone", { "retain-until-date": "2030-01-01T00:00:00Z" }],
    ["an unknown mode", { mode: "governance", "retain-until-date": "2030-01-01T00:00:00Z" }],
    ["a date of another form", { mode: "GOVERNANCE", "retain-until-date": "Tue, 01 Jan 2030 00:00:00 GMT" }],
    ["a date that has passed", { mode: "GOVERNANCE", "retain-until-date": "2026-01-31T11:59:59Z" }],
    ["an unknown hold", { "legal-hold": "on" }],
  ])("%s: InvalidArgument", (_, pairs: Record<string, string>) => {
    expect(codeOf(() => lockOfNewObject(bucketWith(true), headers(pairs), NOW))).toBe("InvalidArgument");
  });

  it.each(["mode", "retain-until-date", "legal-hold"])("%s on a bucket without object lock: InvalidRequest", (name) => {
    expect(codeOf(() => lockOfNewObject(bucketWith(false), headers({ [name]: "x" }), NOW))).toBe("InvalidRequest");
  });
});

describe("hole: object lock failing open", () => {
  it.each([
    ["not JSON", "{"],
    ["null", "null"],
    ["another mode", '{"mode":"NONE","unit":"days","count":1}'],
    ["no count", '{"mode":"GOVERNANCE","unit":"days"}'],
    ["a count of zero", '{"mode":"GOVERNANCE","unit":"days","count":0}'],
    ["a count that is text", '{"mode":"GOVERNANCE","unit":"days","count":"1"}'],
  ])("a stored default that is %s: InternalError, never no retention", (_, stored) => {
    const bucket = bucketWith(true, stored);
    for (const read of [() => lockOfNewObject(bucket, new Map(), NOW), () => defaultRetentionOf(bucket)]) {
      try {
        read();
        expect.unreachable();
      } catch (error) {
        expect(toS3Error(error).code).toBe("InternalError");
      }
    }
  });

  it("headers of a wrong mode, with a default: refused, not the default instead", () => {
    const bucket = withRule(rule("GOVERNANCE", "<Days>3</Days>"));
    expect(codeOf(() => lockOfNewObject(bucket, headers({ mode: "" }), NOW))).toBe("InvalidArgument");
  });
});

describe("an ObjectLockConfiguration document", () => {
  it.each([
    ["days", rule("GOVERNANCE", "<Days>36500</Days>")],
    ["years", rule("COMPLIANCE", "<Years>100</Years>")],
  ])("a default of %s: written as it was read", (_, xml) => {
    const read = objectLockFromXml(xml);
    expect(objectLockFromXml(objectLockXml(read ?? undefined))).toEqual(read);
  });

  it("without a rule: no default", () => {
    expect(objectLockFromXml(objectLockXml(undefined))).toBeNull();
  });

  it.each([
    ["no period", rule("GOVERNANCE", ""), "MalformedXML"],
    ["days and years", rule("GOVERNANCE", "<Days>1</Days><Years>1</Years>"), "MalformedXML"],
    ["an unknown mode", rule("governance", "<Days>1</Days>"), "MalformedXML"],
    ["days of words", rule("GOVERNANCE", "<Days>one</Days>"), "MalformedXML"],
    ["days of a fraction", rule("GOVERNANCE", "<Days>1.5</Days>"), "MalformedXML"],
    ["no days", rule("GOVERNANCE", "<Days>0</Days>"), "InvalidArgument"],
    ["days below zero", rule("GOVERNANCE", "<Days>-1</Days>"), "InvalidArgument"],
    ["more than a hundred years of days", rule("GOVERNANCE", "<Days>36501</Days>"), "InvalidArgument"],
    ["more than a hundred years", rule("GOVERNANCE", "<Years>101</Years>"), "InvalidArgument"],
    [
      "not enabled",
      "<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled></ObjectLockConfiguration>",
      "MalformedXML",
    ],
    ["empty", "<ObjectLockConfiguration/>", "MalformedXML"],
    [
      "an empty rule",
      "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule/></ObjectLockConfiguration>",
      "MalformedXML",
    ],
  ])("%s", (_, xml, code) => {
    expect(codeOf(() => objectLockFromXml(xml))).toBe(code);
  });
});

describe("Retention and LegalHold documents", () => {
  const retention = (mode: string, until: string) =>
    `<Retention><Mode>${mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`;

  it("a retention: written as it was read", () => {
    const read = retentionFromXml(retention("GOVERNANCE", "2030-01-01T00:00:00.5Z"), NOW);
    expect(read).toEqual({ mode: "GOVERNANCE", untilMs: Date.UTC(2030, 0, 1, 0, 0, 0, 500) });
    expect(retentionFromXml(retentionXml(read ?? expect.unreachable()), NOW)).toEqual(read);
  });

  it("an empty retention: to be removed", () => {
    expect(retentionFromXml("<Retention/>", NOW)).toBeNull();
  });

  it.each([
    ["a mode of small letters", retention("governance", "2030-01-01T00:00:00Z"), "MalformedXML"],
    ["a date of words", retention("GOVERNANCE", "soon"), "MalformedXML"],
    ["a mode alone", "<Retention><Mode>GOVERNANCE</Mode></Retention>", "MalformedXML"],
    ["a date that has passed", retention("GOVERNANCE", "2020-01-01T00:00:00Z"), "InvalidArgument"],
  ])("%s", (_, xml, code) => {
    expect(codeOf(() => retentionFromXml(xml, NOW))).toBe(code);
  });

  it("a legal hold: ON or OFF, nothing else", () => {
    expect(legalHoldFromXml("<LegalHold><Status>ON</Status></LegalHold>")).toBe(true);
    expect(legalHoldFromXml("<LegalHold><Status>OFF</Status></LegalHold>")).toBe(false);
    expect(codeOf(() => legalHoldFromXml("<LegalHold><Status>on</Status></LegalHold>"))).toBe("MalformedXML");
    expect(codeOf(() => legalHoldFromXml("<LegalHold/>"))).toBe("MalformedXML");
  });
});

describe("ISO 8601 times", () => {
  it.each([
    ["2026-01-31", Date.UTC(2026, 0, 31)],
    ["2026-01-31T12:00:00Z", NOW],
    ["2026-01-31T12:00:00", NOW],
    ["2026-01-31T12:00:00.123456789Z", NOW + 123],
    ["2026-01-31T14:00:00+02:00", NOW],
    ["2026-01-31T10:30:00-01:30", NOW],
    ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
  ])("%s: %d", (text, ms) => {
    expect(parseIsoTime(text)).toBe(ms);
  });

  it.each([
    "",
    "2026-02-30",
    "2026-13-01",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:60:00Z",
    "20260131T120000Z",
    "1",
    "x",
  ])("%j: none", (text) => {
    expect(parseIsoTime(text)).toBeUndefined();
  });
});
