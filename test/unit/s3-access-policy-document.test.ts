import { describe, expect, it } from "vitest";
import { newBucketPolicy } from "../../objectstore/access/bucket-policy.js";
import { checkIdentityPolicy } from "../../objectstore/access/identity-policy.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { directory, ROOT_ID, statement, variable } from "./s3-access-fixtures.js";

/** What S3 says of it: message and detail, or undefined where it takes it. */
function refusal(document: unknown): { message: string; detail: string | undefined } | undefined {
  const text = typeof document === "string" ? document : JSON.stringify(document);
  try {
    newBucketPolicy(text, "b", directory);
  } catch (error) {
    if (!(error instanceof S3Error) || error.code !== "MalformedPolicy") throw error;
    return { message: error.message, detail: error.fields.Detail };
  }
  return undefined;
}

const of = (change: Record<string, unknown>) => refusal(statement(change));
const both = ["arn:aws:s3:::b", "arn:aws:s3:::b/*"];

describe("a bucket's policy", () => {
  it.each<[string, unknown]>([
    ["one statement that is no array", { Version: "2012-10-17", Statement: statement().Statement[0] }],
    ["no version", { Statement: statement().Statement }],
    ["the older version", { Version: "2008-10-17", Id: "x", Statement: statement().Statement }],
    ["a Sid with blanks", statement({ Sid: "Allow get requests" })],
    ["actions in any case", statement({ Action: ["s3:getobject", "S3:PUTOBJECT"] })],
    ["all actions of all services", statement({ Action: "*", Resource: both })],
    ["s3:* on objects alone", statement({ Action: "s3:*" })],
    ["a prefix of actions on the bucket alone", statement({ Action: "s3:Get*", Resource: "arn:aws:s3:::b" })],
    ["mixed actions with both resources", statement({ Action: ["s3:ListBucket", "s3:GetObject"], Resource: both })],
    [
      "a resource whose wildcard covers the bucket",
      statement({ Action: ["s3:ListBucket"], Resource: "arn:aws:s3:::*" }),
    ],
    ["a resource whose wildcard covers the objects", statement({ Resource: "arn:aws:s3:::b*" })],
    ["a resource with a variable", statement({ Resource: `arn:aws:s3:::b/${variable("aws:username")}/*` })],
    [
      "an action of something not implemented",
      statement({ Action: "s3:PutBucketWebsite", Resource: "arn:aws:s3:::b" }),
    ],
    ["a principal by id", statement({ Principal: { AWS: "bob-id" } })],
    ["a principal by name", statement({ Principal: { AWS: "bob" } })],
    ["a principal by ARN", statement({ Principal: { AWS: "arn:aws:iam:::user/bob" } })],
    ["a principal by ARN with its own account", statement({ Principal: { AWS: "arn:aws:iam::bob-id:user/bob" } })],
    ["a principal by ARN with root's account", statement({ Principal: { AWS: `arn:aws:iam::${ROOT_ID}:user/bob` } })],
    ["a principal by ARN with a path", statement({ Principal: { AWS: "arn:aws:iam:::user/team/bob" } })],
    ["an account", statement({ Principal: { AWS: "arn:aws:iam::bob-id:root" } })],
    ["root", statement({ Principal: { AWS: ["arn:aws:iam:::root", `arn:aws:iam::${ROOT_ID}:root`, ROOT_ID] } })],
    ["a canonical user", statement({ Principal: { CanonicalUser: ["bob-id", "carol-id"] } })],
    ["everybody in a list", statement({ Principal: { AWS: ["*"] } })],
    ["NotPrincipal", statement({ Effect: "Deny", NotPrincipal: { AWS: "bob" } })],
    ["NotAction", statement({ NotAction: "s3:DeleteObject" })],
    ["NotResource", statement({ NotResource: "arn:aws:s3:::b/private/*" })],
    ["a tag's condition", statement({ Condition: { StringEquals: { "s3:ExistingObjectTag/dept": "x" } } })],
    ["a key that is never here", statement({ Condition: { StringEquals: { "aws:PrincipalOrgID": "o-1" } } })],
    ["a key in another case", statement({ Condition: { StringEquals: { "AWS:SOURCEVPC": "x" } } })],
  ])("%s: taken", (_, document) => {
    expect(refusal(document)).toBeUndefined();
  });

  const json = "This policy contains invalid Json";
  const brace = "Policies must be valid JSON and the first byte must be '{'";
  const applies = "Action does not apply to any resource(s) in statement";
  it.each<[string, unknown, string, string?]>([
    ["empty", "", brace],
    ["a string", '"x"', brace],
    ["an array", "[]", brace],
    ["a blank first", ` ${JSON.stringify(statement())}`, brace],
    ["not JSON", "{", json],
    ["an element twice", '{"Version":"2012-10-17","Version":"2012-10-17"}', json, '"Version" is there twice'],
    ["no Statement", { Version: "2012-10-17" }, "Missing required field Statement"],
    ["no statements", { Statement: [] }, "Could not parse the policy: Statement is empty!"],
    ["a statement that is none", { Statement: [1] }, json],
    ["an unknown version", { Version: "2020-01-01", Statement: [] }, "The policy must contain a valid version string"],
    ["a version that is a number", { Version: 2012, Statement: [] }, "The policy must contain a valid version string"],
    ["an Id that is no string", { Id: 1, Statement: statement().Statement }, json],
    ["an unknown element", { Versoin: "x", Statement: [] }, "Unknown field Versoin"],
    ["an element in the wrong case", { version: "2012-10-17", Statement: [] }, "Unknown field version"],
    ["an unknown element of a statement", statement({ Resources: "x" }), "Unknown field Resources"],
    ["no effect", { Statement: [{ Principal: "*" }] }, "Missing required field Effect"],
    ["a wrong effect", statement({ Effect: "allow" }), "Invalid effect: allow"],
    ["a wrong effect's type", statement({ Effect: 1 }), "Invalid effect: 1"],
    [
      "no principal",
      { Statement: [{ Effect: "Allow", Action: "s3:*", Resource: both }] },
      "Missing required field Principal",
    ],
    [
      "no action",
      { Statement: [{ Effect: "Allow", Principal: "*", Resource: both }] },
      "Missing required field Action",
    ],
    [
      "no resource",
      { Statement: [{ Effect: "Allow", Principal: "*", Action: "s3:*" }] },
      "Missing required field Resource",
    ],
    ["an unknown action", statement({ Action: "s3:GetObjekt" }), "Policy has invalid action", "s3:GetObjekt"],
    ["a pattern of no action", statement({ Action: "s3:Frob*" }), "Policy has invalid action", "s3:Frob*"],
    ["another service's action", statement({ Action: "ec2:*" }), "Policy has invalid action", "ec2:*"],
    ["an empty action", statement({ Action: "" }), "Policy has invalid action"],
    ["no actions", statement({ Action: [] }), "Policy has invalid action"],
    ["an action that is no string", statement({ Action: [{}] }), "Policy has invalid action"],
    ["another bucket's resource", statement({ Resource: "arn:aws:s3:::c/*" }), "Policy has invalid resource"],
    ["a longer bucket's resource", statement({ Resource: "arn:aws:s3:::bb/*" }), "Policy has invalid resource"],
    ["a resource that is everything", statement({ Resource: "*" }), "Policy has invalid resource", "*"],
    ["a resource that is no ARN", statement({ Resource: "b/*" }), "Policy has invalid resource", "b/*"],
    ["a resource of nothing", statement({ Resource: "arn:aws:s3:::" }), "Policy has invalid resource"],
    ["a resource of another partition", statement({ Resource: "arn:aws-cn:s3:::b/*" }), "Policy has invalid resource"],
    ["no resources", statement({ Resource: [] }), "Policy has invalid resource"],
    ["one resource of two wrong", statement({ Resource: [...both, "arn:aws:s3:::c"] }), "Policy has invalid resource"],
    ["a bucket's action on objects", statement({ Action: "s3:ListBucket" }), applies],
    ["an object's action on the bucket", statement({ Resource: "arn:aws:s3:::b" }), applies],
    ["one action of two without a resource", statement({ Action: ["s3:GetObject", "s3:ListBucket"] }), applies],
    ["an action of the service", statement({ Action: "s3:ListAllMyBuckets", Resource: both }), applies],
    [
      "both Action and NotAction",
      statement({ NotAction: "s3:*", Action: "s3:*" }),
      "Statement cannot contain both Action and NotAction",
    ],
    [
      "an unknown variable",
      statement({ Resource: `arn:aws:s3:::b/${variable("aws:nobody")}/*` }),
      "Policy has an invalid variable",
    ],
    ["a condition that is no object", statement({ Condition: [] }), "Policy has an invalid condition block"],
    [
      "an operator's block that is none",
      statement({ Condition: { Bool: "x" } }),
      "Policy has an invalid condition block",
    ],
    [
      "a value that is an object",
      statement({ Condition: { Bool: { "aws:SecureTransport": {} } } }),
      "Policy has an invalid condition value",
    ],
    [
      "no values",
      statement({ Condition: { Bool: { "aws:SecureTransport": [] } } }),
      "Policy has an invalid condition value",
    ],
    [
      "listing's key for reads",
      statement({ Condition: { StringEquals: { "s3:prefix": "x" } } }),
      "Conditions do not apply to combination of actions and resources in statement",
    ],
    [
      "the same Sid twice",
      {
        Statement: [
          { ...(statement().Statement[0] as object), Sid: "x" },
          { ...(statement().Statement[0] as object), Sid: "x" },
        ],
      },
      "Statement IDs (SID) in a single policy must be unique",
      "x",
    ],
  ])("%s: MalformedPolicy", (_, document, message, detail) => {
    const refused = refusal(document);
    expect(refused?.message).toBe(message);
    if (detail !== undefined) expect(refused?.detail).toBe(detail);
  });

  it.each<unknown>([
    "",
    "bob",
    "*.example.com",
    {},
    [],
    ["*"],
    { AWS: [] },
    { AWS: "" },
    { AWS: "nobody" },
    { AWS: "bo*" },
    { AWS: "arn:aws:iam:::user/nobody" },
    { AWS: "arn:aws:iam:::user/*" },
    { AWS: "arn:aws:iam::*:root" },
    { AWS: "arn:aws:iam::111122223333:root" },
    { AWS: "arn:aws:iam::111122223333:user/bob" },
    { AWS: "arn:aws:iam::alice-id:user/bob" },
    { AWS: "arn:aws:iam:::role/bob" },
    { AWS: "arn:aws:sts:::assumed-role/bob/x" },
    { AWS: ["bob", "nobody"] },
    { AWS: 1 },
    { CanonicalUser: "*" },
    { CanonicalUser: "bob" },
    { Service: "cloudtrail.amazonaws.com" },
    { Federated: "graph.facebook.com" },
    { __proto__: null, constructor: "bob" },
  ])("principal %j: refused", (Principal) => {
    expect(of({ Principal })?.message).toBe("Invalid principal in policy");
  });

  it.each<[string, string, unknown]>([
    ["StringEqualz", "aws:Referer", "x"],
    ["stringequals", "aws:Referer", "x"],
    ["NullIfExists", "aws:Referer", "true"],
    ["ForAllValues:Null", "aws:Referer", "true"],
    ["ForEachValue:StringEquals", "aws:Referer", "x"],
    ["ForAllValues:ForAnyValue:StringEquals", "aws:Referer", "x"],
    ["StringEqualsIfExistsIfExists", "aws:Referer", "x"],
    ["constructor", "aws:Referer", "x"],
    ["__proto__", "aws:Referer", "x"],
  ])("operator %s: refused by name", (operator, key, value) => {
    const text = JSON.stringify(statement({ Condition: "@" })).replace(
      '"@"',
      () => `{${JSON.stringify(operator)}:${JSON.stringify({ [key]: value })}}`,
    );
    expect(refusal(text)?.message).toBe(`Invalid Condition type : ${operator}`);
  });

  it.each([
    "aws:Nothing",
    "s3:Prefixx",
    "s3:ExistingObjectTag",
    "s3:ExistingObjectTag/",
    "prefix",
    "",
    "constructor",
    "toString",
    "s3:RequestObjectTag/",
  ])("key %j: refused by name", (key) => {
    const refused = of({ Condition: { StringEquals: { [key]: "x" } } });
    expect(refused).toEqual({ message: "Policy has an invalid condition key", detail: key });
  });

  it.each<[string, unknown]>([
    ["NumericEquals", "ten"],
    ["NumericEquals", "1e9999"],
    ["NumericEquals", "0x10"],
    ["NumericEquals", variable("aws:username")],
    ["DateLessThan", "tomorrow"],
    ["DateLessThan", "2024-02-30"],
    ["Bool", "yes"],
    ["BinaryEquals", "###"],
    ["IpAddress", "10.0.0.0/33"],
    ["IpAddress", "10.0.0"],
    ["IpAddress", "10.0.0.0/-1"],
    ["IpAddress", "10.0.0.0/8/8"],
    ["IpAddress", "::/129"],
    ["IpAddress", "::ffff:10.0.0.0/8"],
    ["IpAddress", true],
    ["ArnLike", "user/bob"],
    ["ArnLike", "arn:aws:*"],
  ])("%s of %j: refused", (operator, value) => {
    expect(of({ Condition: { [operator]: { "aws:Referer": value } } })?.message).toBe(
      "Policy has an invalid condition value",
    );
  });

  it("hole: an unbounded document: 20 KB and no more, by bytes", () => {
    const padded = (bytes: number) => {
      const text = JSON.stringify({ ...statement(), Id: "" });
      return text.replace('"Id":""', `"Id":"${"é".repeat((bytes - text.length) >> 1)}"`);
    };
    expect(refusal(padded(20 * 1024))).toBeUndefined();
    expect(refusal(padded(20 * 1024 + 2))?.message).toBe("Policy document exceeds the maximum size of 20480 bytes");
  });

  it("hole: a name that is used again is somebody else", () => {
    const stored = newBucketPolicy(JSON.stringify(statement({ Principal: { AWS: "bob" } })), "b", directory).stored;
    expect(JSON.parse(stored).principals).toEqual([["AWS bob", "bob-id"]]);
  });
});

describe("a user's policy", () => {
  const one = (change: Record<string, unknown>) => {
    const { Statement } = statement(change);
    const { Principal, ...rest } = Statement[0] as Record<string, unknown>;
    return JSON.stringify({ Version: "2012-10-17", Statement: [Principal === "*" ? rest : Statement[0]] });
  };

  it.each<[string, Record<string, unknown>]>([
    ["any bucket", { Resource: ["arn:aws:s3:::any/*", "*"] }],
    ["actions that do not apply to their resource", { Action: "s3:ListBucket" }],
    ["actions of the service", { Action: "s3:ListAllMyBuckets", Resource: "*" }],
    ["actions of other services", { Action: ["s3:*", "ec2:Describe*", "admin:*"] }],
  ])("%s: taken", (_, change) => {
    expect(() => checkIdentityPolicy("p", one(change))).not.toThrow();
  });

  it("a principal: refused", () => {
    expect(() => checkIdentityPolicy("p", one({ Principal: { AWS: "bob" } }))).toThrow(
      "policy p: Policy document should not specify a principal",
    );
  });

  it("an unknown action of S3: refused, and named", () => {
    expect(() => checkIdentityPolicy("p", one({ Action: "s3:GetObjects" }))).toThrow(
      "policy p: Policy has invalid action (s3:GetObjects)",
    );
  });
});
