import { describe, expect, it } from "vitest";
import { tagConditions } from "../../objectstore/access/condition-keys.js";
import { isAllowed } from "../../objectstore/access/decide.js";
import type { Authentication, Caller, Need } from "../../objectstore/types.js";
import {
  alice,
  anonymous,
  as,
  bob,
  bucket,
  object,
  question,
  type RequestFacts,
  root,
  SIGNED,
  statement,
  variable,
} from "./s3-access-fixtures.js";

const both = ["arn:aws:s3:::b", "arn:aws:s3:::b/*"];

interface Facts extends RequestFacts {
  caller?: Caller;
  need?: Partial<Need>;
  auth?: Authentication;
}

/** Whether a statement with the condition allows what bob has no other right to. */
function met(condition: unknown, facts: Facts = {}, change: Record<string, unknown> = {}): boolean {
  const document = statement({ Action: "s3:*", Resource: both, Condition: condition, ...change });
  const need = { action: "s3:GetObject", key: "k", ...facts.need };
  const { caller = as(bob), auth = SIGNED, ...rest } = facts;
  const used = caller.kind === "anonymous" ? {} : { auth };
  return isAllowed(question(caller, need, { bucket: bucket({ policyDocument: document }), ...rest, ...used }));
}

const is = (key: string, value: string, facts: Facts = {}) => met({ StringEquals: { [key]: value } }, facts);
const absent = (key: string, facts: Facts = {}) => met({ Null: { [key]: "true" } }, facts);

describe("condition keys", () => {
  it("of the caller", () => {
    expect(is("aws:username", "bob")).toBe(true);
    expect(is("aws:userid", "bob-id")).toBe(true);
    expect(is("aws:PrincipalType", "User")).toBe(true);
    expect(is("aws:PrincipalArn", "arn:aws:iam:::user/bob")).toBe(true);
    expect(is("aws:PrincipalAccount", "bob-id")).toBe(true);
    expect(is("aws:ResourceAccount", alice.id)).toBe(true);
    expect(is("s3:ResourceAccount", alice.id)).toBe(true);
  });

  it("of an unsigned request", () => {
    const facts = { caller: anonymous };
    expect(is("aws:PrincipalType", "Anonymous", facts)).toBe(true);
    expect(is("aws:userid", "anonymous", facts)).toBe(true);
    for (const key of [
      "aws:username",
      "aws:PrincipalArn",
      "aws:PrincipalAccount",
      "s3:authType",
      "s3:signatureAge",
      "s3:signatureversion",
    ]) {
      expect(absent(key, facts), key).toBe(true);
    }
  });

  it("of root", () => {
    const denies = (condition: unknown) =>
      !isAllowed(
        question(
          root,
          { action: "s3:GetObject", key: "k" },
          {
            bucket: bucket({ policyDocument: statement({ Effect: "Deny", Condition: condition }) }),
          },
        ),
      );
    expect(denies({ StringEquals: { "aws:PrincipalType": "Account" } })).toBe(true);
    expect(denies({ ArnEquals: { "aws:PrincipalArn": "arn:aws:iam:::root" } })).toBe(true);
    expect(denies({ Null: { "aws:username": "true" } })).toBe(true);
  });

  it("of the connection", () => {
    expect(met({ IpAddress: { "aws:SourceIp": "203.0.113.0/24" } })).toBe(true);
    expect(met({ IpAddress: { "aws:SourceIp": "203.0.113.0/24" } }, { address: "10.0.0.1" })).toBe(false);
    expect(met({ Bool: { "aws:SecureTransport": "false" } })).toBe(true);
    expect(met({ Bool: { "aws:SecureTransport": "true" } }, { secure: true })).toBe(true);
    expect(met({ NumericGreaterThanEquals: { "s3:TlsVersion": 1.2 } }, { secure: true, tls: "TLSv1.3" })).toBe(true);
    expect(met({ NumericLessThan: { "s3:TlsVersion": 1.2 } }, { secure: true, tls: "TLSv1.3" })).toBe(false);
    expect(absent("s3:TlsVersion")).toBe(true);
  });

  it("of the clock", () => {
    const past = "2020-01-01T00:00:00Z";
    const future = new Date(Date.now() + 60_000).toISOString();
    expect(met({ DateGreaterThan: { "aws:CurrentTime": past }, DateLessThan: { "aws:CurrentTime": future } })).toBe(
      true,
    );
    expect(met({ DateLessThan: { "aws:CurrentTime": past } })).toBe(false);
    expect(met({ NumericGreaterThan: { "aws:EpochTime": 1577836800 } })).toBe(true);
    expect(met({ DateGreaterThan: { "aws:EpochTime": past } })).toBe(true);
  });

  it.each([
    ["aws:Referer", "referer"],
    ["aws:UserAgent", "user-agent"],
    ["s3:x-amz-acl", "x-amz-acl"],
    ["s3:x-amz-grant-read", "x-amz-grant-read"],
    ["s3:x-amz-grant-write-acp", "x-amz-grant-write-acp"],
    ["s3:x-amz-copy-source", "x-amz-copy-source"],
    ["s3:x-amz-metadata-directive", "x-amz-metadata-directive"],
    ["s3:x-amz-server-side-encryption", "x-amz-server-side-encryption"],
    ["s3:x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-customer-algorithm"],
    ["s3:x-amz-storage-class", "x-amz-storage-class"],
    ["s3:x-amz-content-sha256", "x-amz-content-sha256"],
    ["s3:x-amz-object-ownership", "x-amz-object-ownership"],
    ["s3:object-lock-mode", "x-amz-object-lock-mode"],
    ["s3:object-lock-legal-hold", "x-amz-object-lock-legal-hold"],
    ["s3:object-lock-retain-until-date", "x-amz-object-lock-retain-until-date"],
    ["s3:if-match", "if-match"],
    ["s3:if-none-match", "if-none-match"],
  ])("%s: the header %s", (key, header) => {
    expect(is(key, "v", { headers: { [header]: "v" } })).toBe(true);
    expect(is(key.toUpperCase(), "v", { headers: { [header]: "v" } })).toBe(true);
    expect(absent(key)).toBe(true);
  });

  it.each([
    ["s3:prefix", "prefix"],
    ["s3:delimiter", "delimiter"],
    ["s3:max-keys", "max-keys"],
    ["s3:VersionId", "versionId"],
  ])("%s: the query's %s", (key, name) => {
    const need = { action: "s3:ListBucket" };
    expect(is(key, "9", { need, query: { [name]: "9" } })).toBe(true);
    expect(is(key, "", { need, query: { [name]: "" } })).toBe(true);
    expect(absent(key, { need })).toBe(true);
  });

  it("of the signature", () => {
    expect(is("s3:authType", "REST-HEADER")).toBe(true);
    expect(is("s3:authType", "POST", { auth: { ...SIGNED, type: "POST" } })).toBe(true);
    expect(is("s3:signatureversion", "AWS4-HMAC-SHA256")).toBe(true);
    expect(met({ NumericGreaterThan: { "s3:signatureAge": "1000" } })).toBe(true);
    expect(met({ NumericGreaterThan: { "s3:signatureAge": "2000" } })).toBe(false);
  });

  it("s3:x-amz-content-sha256 of a presigned request: unsigned, though it need not say so", () => {
    const auth: Authentication = { ...SIGNED, type: "REST-QUERY-STRING", payload: { kind: "unsigned" } };
    expect(is("s3:x-amz-content-sha256", "UNSIGNED-PAYLOAD", { auth })).toBe(true);
  });

  it("of the object's tags", () => {
    const tagged = object(alice.id, { tags: [["Dept", "x"]] });
    expect(is("s3:ExistingObjectTag/Dept", "x", { need: { object: tagged } })).toBe(true);
    expect(is("s3:ExistingObjectTag/dept", "x", { need: { object: tagged } })).toBe(true);
    expect(is("s3:ExistingObjectTag/Dept", "y", { need: { object: tagged } })).toBe(false);
    expect(absent("s3:ExistingObjectTag/other", { need: { object: tagged } })).toBe(true);
    expect(absent("s3:ExistingObjectTag/Dept")).toBe(true);
  });

  it("of the tags that a header brings", () => {
    const headers = { "x-amz-tagging": "Dept=a%20b&k=" };
    expect(is("s3:RequestObjectTag/Dept", "a b", { headers })).toBe(true);
    expect(met({ "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": ["Dept", "k"] } }, { headers })).toBe(true);
    expect(met({ "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": ["Dept"] } }, { headers })).toBe(false);
    expect(absent("s3:RequestObjectTagKeys")).toBe(true);
  });

  it("of the tags that a body brings, by way of the need", () => {
    const need = { action: "s3:PutObjectTagging", conditions: () => tagConditions([["Dept", "x"]]) };
    expect(is("s3:RequestObjectTag/Dept", "x", { need })).toBe(true);
    expect(met({ "ForAnyValue:StringEquals": { "s3:RequestObjectTagKeys": "Dept" } }, { need })).toBe(true);
    expect(absent("s3:RequestObjectTag/other", { need })).toBe(true);
  });

  it("of a retention: the days that are left", () => {
    const until = new Date(Date.now() + 9.5 * 86_400_000).toISOString();
    const days = (facts: Facts) => met({ NumericEquals: { "s3:object-lock-remaining-retention-days": "10" } }, facts);
    expect(days({ headers: { "x-amz-object-lock-retain-until-date": until } })).toBe(true);
    const conditions = () => new Map([["s3:object-lock-retain-until-date", [until]]]);
    expect(days({ need: { conditions } })).toBe(true);
    expect(days({})).toBe(false);
  });

  it("s3:ObjectCreationOperation: not of parts, nor of the start of an upload", () => {
    const creates = (query: Record<string, string>) =>
      met({ Bool: { "s3:ObjectCreationOperation": "true" } }, { need: { action: "s3:PutObject" }, query });
    expect(creates({})).toBe(true);
    expect(creates({ uploadId: "u" })).toBe(true);
    expect(creates({ uploads: "" })).toBe(false);
    expect(creates({ uploadId: "u", partNumber: "1" })).toBe(false);
    expect(absent("s3:ObjectCreationOperation")).toBe(true);
  });

  it("s3:VersionId of a copy's source: the version that was looked up there", () => {
    const source = bucket({
      policyDocument: statement({
        Action: "s3:GetObjectVersion",
        Condition: { StringEquals: { "s3:VersionId": "v1" } },
      }),
    });
    const need = { action: "s3:GetObjectVersion", key: "k", bucket: source, object: object(alice.id) };
    expect(isAllowed(question(as(bob), need, { bucket: source, query: { versionId: "other" } }))).toBe(true);
  });

  it("what an operation says beats what the request says", () => {
    const conditions = () => new Map([["s3:x-amz-acl", ["private"]]]);
    expect(is("s3:x-amz-acl", "private", { need: { conditions }, headers: { "x-amz-acl": "public-read" } })).toBe(true);
  });

  it("hole: headers beside a form pass for none of its fields", () => {
    const headers = {
      "x-amz-acl": "private",
      "x-amz-tagging": "Dept=x",
      "x-amz-object-lock-mode": "COMPLIANCE",
      "x-amz-object-lock-retain-until-date": "2100-01-01T00:00:00Z",
      referer: "http://a/",
    };
    const keys = ["s3:x-amz-acl", "s3:RequestObjectTag/Dept", "s3:RequestObjectTagKeys", "s3:object-lock-mode"];
    for (const key of [...keys, "s3:object-lock-retain-until-date", "s3:object-lock-remaining-retention-days"]) {
      expect(absent(key, { headers }), key).toBe(false);
      expect(absent(key, { headers, method: "POST" }), key).toBe(true);
    }
    expect(is("aws:Referer", "http://a/", { headers, method: "POST" })).toBe(true);
    const conditions = () => new Map([["s3:x-amz-acl", ["public-read"]]]);
    expect(is("s3:x-amz-acl", "public-read", { headers, method: "POST", need: { conditions } })).toBe(true);
  });

  it.each(["aws:SourceVpc", "aws:PrincipalOrgID", "aws:PrincipalTag/x", "s3:DataAccessPointArn"])(
    "%s: never there",
    (key) => {
      expect(absent(key)).toBe(true);
    },
  );
});

describe("hole: the source address", () => {
  it("is the fact that came in, whatever the headers say", () => {
    const headers = { "x-forwarded-for": "203.0.113.7", "x-real-ip": "203.0.113.7", forwarded: "for=203.0.113.7" };
    expect(met({ IpAddress: { "aws:SourceIp": "203.0.113.7" } }, { address: "10.0.0.1", headers })).toBe(false);
  });
});

describe("policy variables", () => {
  const home = (Version: string | undefined) => ({
    ...(Version === undefined ? {} : { Version }),
    Statement: [
      { ...(statement().Statement[0] as object), Resource: `arn:aws:s3:::b/home/${variable("aws:username")}/*` },
    ],
  });
  const reads = (document: unknown, key: string, caller: Caller = as(bob)) =>
    isAllowed(question(caller, { action: "s3:GetObject", key }, { bucket: bucket({ policyDocument: document }) }));

  it("in a resource: each user its own", () => {
    expect(reads(home("2012-10-17"), "home/bob/x")).toBe(true);
    expect(reads(home("2012-10-17"), "home/carol/x")).toBe(false);
  });

  it("before 2012-10-17: text like any other", () => {
    expect(reads(home("2008-10-17"), "home/bob/x")).toBe(false);
    expect(reads(home(undefined), `home/${variable("aws:username")}/x`)).toBe(true);
  });

  it("without a value: equal to nothing, like nothing", () => {
    expect(reads(home("2012-10-17"), "home//x", anonymous)).toBe(false);
    const open = { StringNotEquals: { "aws:Referer": variable("aws:username") } };
    expect(met(open, { caller: anonymous, headers: { referer: "x" } })).toBe(true);
  });

  it("hole: wildcards in a value are text", () => {
    const star = Object.freeze({ ...bob, name: "*" });
    expect(reads(home("2012-10-17"), "home/bob/x", as(star))).toBe(false);
    expect(reads(home("2012-10-17"), "home/*/x", as(star))).toBe(true);
    const like = { StringLike: { "aws:Referer": variable("aws:UserAgent") } };
    expect(met(like, { headers: { referer: "anything", "user-agent": "*" } })).toBe(false);
    expect(met(like, { headers: { referer: "*", "user-agent": "*" } })).toBe(true);
  });

  it("a default for what has no value", () => {
    const of = { StringEquals: { "aws:Referer": variable("aws:PrincipalTag/team, 'none'") } };
    expect(met(of, { headers: { referer: "none" } })).toBe(true);
    const user = { StringEquals: { "aws:Referer": variable("aws:username, 'none'") } };
    expect(met(user, { headers: { referer: "bob" } })).toBe(true);
    expect(met(user, { headers: { referer: "none" } })).toBe(false);
  });

  it("the three characters that are written as variables", () => {
    const of = { StringLike: { "aws:Referer": `${variable("*")}${variable("?")}${variable("$")}*` } };
    expect(met(of, { headers: { referer: "*?$x" } })).toBe(true);
    expect(met(of, { headers: { referer: "ab$x" } })).toBe(false);
  });

  it("in conditions: strings and ARNs", () => {
    expect(
      met({ StringEquals: { "s3:x-amz-acl": variable("aws:username") } }, { headers: { "x-amz-acl": "bob" } }),
    ).toBe(true);
    const ignoring = { StringEqualsIgnoreCase: { "s3:x-amz-acl": `X-${variable("aws:username")}` } };
    expect(met(ignoring, { headers: { "x-amz-acl": "x-BOB" } })).toBe(true);
    const arn = { ArnEquals: { "aws:PrincipalArn": `arn:aws:iam:::user/${variable("aws:username")}` } };
    expect(met(arn)).toBe(true);
    const list = { need: { action: "s3:ListBucket" }, query: { prefix: "home/bob/" } };
    expect(met({ StringLike: { "s3:prefix": `home/${variable("aws:username")}/*` } }, list)).toBe(true);
  });

  it("what is not closed is text", () => {
    expect(
      met({ StringEquals: { "aws:Referer": "$" + "{aws:username" } }, { headers: { referer: "$" + "{aws:username" } }),
    ).toBe(true);
  });
});
