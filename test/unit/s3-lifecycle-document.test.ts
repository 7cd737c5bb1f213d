import { describe, expect, it } from "vitest";
import { lifecycleFromXml, lifecycleXml } from "../../objectstore/lifecycle/document.js";
import { lifecycleOf } from "../../objectstore/lifecycle/rule.js";
import { S3Error, toS3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";

const configuration = (...rules: string[]) =>
  `<LifecycleConfiguration>${rules.map((rule) => `<Rule>${rule}</Rule>`).join("")}</LifecycleConfiguration>`;
const FOR_ALL = "<Filter><Prefix></Prefix></Filter>";
const ENABLED = "<Status>Enabled</Status>";
const DAYS = "<Expiration><Days>1</Days></Expiration>";
const expiration = (content: string) => configuration(`${FOR_ALL}${ENABLED}<Expiration>${content}</Expiration>`);
const filter = (content: string, actions = DAYS) => configuration(`<Filter>${content}</Filter>${ENABLED}${actions}`);
const tag = (key: string, value = "v") => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`;
const noncurrent = (content: string) =>
  configuration(`${FOR_ALL}${ENABLED}<NoncurrentVersionExpiration>${content}</NoncurrentVersionExpiration>`);
const abort = (days: string, of = FOR_ALL) =>
  configuration(
    `${of}${ENABLED}<AbortIncompleteMultipartUpload><DaysAfterInitiation>${days}</DaysAfterInitiation></AbortIncompleteMultipartUpload>`,
  );

function outcome(text: string): string {
  try {
    lifecycleFromXml(text);
    return "fine";
  } catch (error) {
    if (error instanceof S3Error) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe("a LifecycleConfiguration document", () => {
  it.each([
    ["days", expiration("<Days>30</Days>")],
    ["a date", expiration("<Date>2026-01-01T00:00:00.000Z</Date>")],
    ["a date without a time", expiration("<Date>2026-01-01</Date>")],
    ["a date with an offset that is midnight UTC", expiration("<Date>2026-01-01T02:00:00+02:00</Date>")],
    ["delete markers", expiration("<ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>")],
    ["delete markers, off", expiration("<ExpiredObjectDeleteMarker>false</ExpiredObjectDeleteMarker>")],
    ["noncurrent versions", noncurrent("<NoncurrentDays>3</NoncurrentDays>")],
    [
      "noncurrent versions but some",
      noncurrent("<NoncurrentDays>3</NoncurrentDays><NewerNoncurrentVersions>100</NewerNoncurrentVersions>"),
    ],
    ["unfinished uploads", abort("7")],
    ["a prefix of its own", configuration(`<Prefix>a/</Prefix>${ENABLED}${DAYS}`)],
    ["an empty filter", filter("")],
    ["a tag", filter(tag("k"))],
    ["a size", filter("<ObjectSizeGreaterThan>0</ObjectSizeGreaterThan>")],
    [
      "all conditions",
      filter(
        `<And><Prefix>p</Prefix>${tag("a")}${tag("b")}<ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And>`,
      ),
    ],
    ["disabled", configuration(`<ID>off</ID>${FOR_ALL}<Status>Disabled</Status>${DAYS}`)],
  ])("%s: written as it was read", (_, text) => {
    const rules = lifecycleFromXml(text);
    expect(lifecycleFromXml(lifecycleXml(rules))).toEqual(rules);
  });

  it("no id: one is made, and another for each rule", () => {
    const rules = lifecycleFromXml(configuration(`${FOR_ALL}${ENABLED}${DAYS}`, `<ID/>${FOR_ALL}${ENABLED}${DAYS}`));
    expect(new Set(rules.map(({ id }) => id)).size).toBe(2);
    for (const { id } of rules) expect(id).toMatch(/^[\w-]{48}$/);
  });

  it("prefixes of the first version's rules: apart, or for other actions; no two of one action may overlap", () => {
    const rule = (prefix: string, action = DAYS) => `<Prefix>${prefix}</Prefix>${ENABLED}${action}`;
    const aborting =
      "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    expect(outcome(configuration(rule("a/"), rule("b/"), rule("A"), rule("ab")))).toBe("fine");
    expect(outcome(configuration(rule("a/"), rule("a/", aborting)))).toBe("fine");
    expect(outcome(configuration(rule("a/"), rule("a/", aborting), rule("", aborting)))).toMatch(
      /^InvalidRequest: Found overlapping prefixes 'a\/' and '' for same action type 'AbortIncompleteMultipartUpload'/,
    );
    for (const rules of [
      [rule("logs/2026/"), rule("logs/")],
      [rule("logs/"), rule("b"), rule("logs/2026/")],
    ])
      expect(outcome(configuration(...rules))).toMatch(
        /^InvalidRequest: Found overlapping prefixes 'logs\/2026\/' and 'logs\/' for same action type 'Expiration'/,
      );
    expect(outcome(configuration(rule("a"), rule("a")))).toMatch(
      /^InvalidRequest: Found two rules with same prefix 'a'/,
    );
    const filtered = (prefix: string) => `<Filter><Prefix>${prefix}</Prefix></Filter>${ENABLED}${DAYS}`;
    expect(outcome(configuration(filtered("logs/"), filtered("logs/2026/"), filtered("logs/")))).toBe("fine");
  });

  it("a thousand rules: fine, one more: InvalidRequest", () => {
    const rules = (count: number) => Array.from({ length: count }, () => `${FOR_ALL}${ENABLED}${DAYS}`);
    expect(outcome(configuration(...rules(1000)))).toBe("fine");
    expect(outcome(configuration(...rules(1001)))).toMatch(/^InvalidRequest/);
  });

  it.each([
    ["no rule", "<LifecycleConfiguration/>", /^MalformedXML/],
    ["another root", "<Lifecycle/>", /^MalformedXML/],
    ["no status", configuration(`${FOR_ALL}${DAYS}`), /^MalformedXML/],
    ["a status in small letters", configuration(`${FOR_ALL}<Status>enabled</Status>${DAYS}`), /^MalformedXML/],
    ["neither prefix nor filter", configuration(`${ENABLED}${DAYS}`), /^MalformedXML/],
    ["prefix and filter", configuration(`<Prefix>a</Prefix>${FOR_ALL}${ENABLED}${DAYS}`), /^MalformedXML/],
    ["an unknown element", configuration(`${FOR_ALL}${ENABLED}${DAYS}<Foo/>`), /^MalformedXML/],
    ["no action", configuration(`${FOR_ALL}${ENABLED}`), /^InvalidRequest: At least one action/],
    ["an expiration of nothing", expiration(""), /^MalformedXML/],
    ["days and a date", expiration("<Days>1</Days><Date>2026-01-01</Date>"), /^MalformedXML/],
    [
      "days and delete markers",
      expiration("<Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>"),
      /^MalformedXML/,
    ],
    ["no days", expiration("<Days>0</Days>"), /^InvalidArgument: 'Days' for Expiration action must be a positive/],
    ["days below zero", expiration("<Days>-1</Days>"), /^InvalidArgument/],
    ["more days than S3 counts", expiration("<Days>2147483648</Days>"), /^InvalidArgument/],
    ["days of words", expiration("<Days>one</Days>"), /^MalformedXML/],
    ["days of a fraction", expiration("<Days>1.5</Days>"), /^MalformedXML/],
    [
      "a date in the day",
      expiration("<Date>2026-01-01T00:00:01Z</Date>"),
      /^InvalidArgument: 'Date' must be at midnight/,
    ],
    ["a date of words", expiration("<Date>soon</Date>"), /^MalformedXML/],
    ["a marker of words", expiration("<ExpiredObjectDeleteMarker>yes</ExpiredObjectDeleteMarker>"), /^MalformedXML/],
    ["no noncurrent days", noncurrent("<NewerNoncurrentVersions>1</NewerNoncurrentVersions>"), /^MalformedXML/],
    ["noncurrent days of zero", noncurrent("<NoncurrentDays>0</NoncurrentDays>"), /^InvalidArgument: 'NoncurrentDays'/],
    [
      "101 newer versions",
      noncurrent("<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>101</NewerNoncurrentVersions>"),
      /^InvalidArgument/,
    ],
    [
      "newer versions without a filter",
      configuration(
        `<Prefix/>${ENABLED}<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>`,
      ),
      /^InvalidRequest/,
    ],
    ["an upload's age of zero", abort("0"), /^InvalidArgument: 'DaysAfterInitiation'/],
    [
      "uploads by tag",
      abort("1", `<Filter>${tag("a")}</Filter>`),
      /^InvalidRequest: AbortIncompleteMultipartUpload cannot/,
    ],
    [
      "uploads by size",
      abort("1", "<Filter><ObjectSizeLessThan>5</ObjectSizeLessThan></Filter>"),
      /^InvalidRequest: AbortIncompleteMultipartUpload cannot/,
    ],
    [
      "delete markers by tag",
      filter(tag("a"), "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
      /^InvalidRequest: ExpiredObjectDeleteMarker cannot/,
    ],
    ["two conditions without And", filter(`<Prefix>a</Prefix>${tag("a")}`), /^MalformedXML/],
    ["And of one", filter("<And><Prefix>a</Prefix></And>"), /^MalformedXML/],
    ["And of And", filter(`<And><Prefix>a</Prefix><And/></And>`), /^MalformedXML/],
    ["one tag key twice", filter(`<And>${tag("a")}${tag("a", "w")}</And>`), /^InvalidRequest: Duplicate Tag Keys/],
    ["a tag without a value", filter("<Tag><Key>a</Key></Tag>"), /^MalformedXML/],
    ["a tag that cannot be", filter(tag("a&amp;b")), /^InvalidTag/],
    [
      "sizes that leave nothing",
      filter("<And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And>"),
      /^InvalidRequest/,
    ],
    ["a size below zero", filter("<ObjectSizeGreaterThan>-1</ObjectSizeGreaterThan>"), /^InvalidRequest/],
    [
      "an id of 256 characters",
      configuration(`<ID>${"i".repeat(256)}</ID>${FOR_ALL}${ENABLED}${DAYS}`),
      /^InvalidArgument/,
    ],
    [
      "one id twice",
      configuration(`<ID>a</ID>${FOR_ALL}${ENABLED}${DAYS}`, `<ID>a</ID>${FOR_ALL}${ENABLED}${DAYS}`),
      /^InvalidArgument: Rule ID must be unique/,
    ],
    [
      "rules of both versions of the API",
      configuration(`<Prefix>a</Prefix>${ENABLED}${DAYS}`, `${FOR_ALL}${ENABLED}${DAYS}`),
      /^InvalidRequest: Filter element can only be used in Lifecycle V2/,
    ],
    [
      "a transition",
      configuration(`${FOR_ALL}${ENABLED}<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>`),
      /^NotImplemented: Transition/,
    ],
    [
      "a transition beside what is done",
      configuration(
        `${FOR_ALL}${ENABLED}${DAYS}<NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition>`,
      ),
      /^NotImplemented: NoncurrentVersionTransition/,
    ],
  ])("%s: refused", (_, text, expected) => {
    expect(outcome(text)).toMatch(expected);
  });
});

describe("a stored lifecycle configuration", () => {
  const bucket = (lifecycle: string): Bucket => ({
    ...{ name: "b", ownerId: "o", createdMs: 0, region: "us-east-1", versioning: "off", objectLock: false },
    ...{ durability: "strict", quotaBytes: null, quotaObjects: null, revision: 1, config: { lifecycle } },
  });

  it("damaged: InternalError, never other rules", () => {
    for (const stored of ["{", "[]", '{"rules":[]}', '{"minimumObjectSize":"all_storage_classes_128K","rules":[{}]}']) {
      try {
        lifecycleOf(bucket(stored));
        expect.unreachable();
      } catch (error) {
        expect(toS3Error(error).code).toBe("InternalError");
      }
    }
  });

  it("as it was put: the same rules, parsed once", () => {
    const rules = lifecycleFromXml(expiration("<Days>30</Days>"));
    const stored = bucket(JSON.stringify({ minimumObjectSize: "varies_by_storage_class", rules }));
    expect(lifecycleOf(stored)?.rules).toEqual(rules);
    expect(lifecycleOf(stored)).toBe(lifecycleOf(stored));
  });
});
