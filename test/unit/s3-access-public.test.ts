import { describe, expect, it } from "vitest";
import { ANONYMOUS_ID } from "../../objectstore/access/acl.js";
import { newBucketPolicy } from "../../objectstore/access/bucket-policy.js";
import { checkExpectedOwner, isAllowed } from "../../objectstore/access/decide.js";
import { accessOfNewObject, aclOfNewBucket } from "../../objectstore/access/new-acl.js";
import { ownershipFromHeaders, ownershipFromXml, ownershipXml } from "../../objectstore/access/ownership.js";
import {
  NO_BLOCK,
  type PublicAccessBlock,
  publicAccessBlockFromXml,
  publicAccessBlockXml,
} from "../../objectstore/access/public-access-block.js";
import type { Caller } from "../../objectstore/types.js";
import { S3Error } from "../../src/errors/s3-error.js";
import {
  alice,
  anonymous,
  as,
  bob,
  bucket,
  directory,
  object,
  question,
  ROOT_ID,
  root,
  settings,
  statement,
  user,
  variable,
} from "./s3-access-fixtures.js";

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return "none";
}

const isPublic = (...changes: Record<string, unknown>[]) => {
  const document = { Version: "2012-10-17", Statement: changes.map((change) => statement(change).Statement[0]) };
  return newBucketPolicy(JSON.stringify(document), "b", directory).policy.isPublic;
};
const under = (operator: string, key: string, value: unknown) =>
  isPublic({ Condition: { [operator]: { [key]: value } } });

describe("a policy's status", () => {
  it("public: everybody, and everybody but some", () => {
    expect(isPublic({})).toBe(true);
    expect(isPublic({ Principal: { AWS: "*" } })).toBe(true);
    expect(isPublic({ Principal: { AWS: ["bob", "*"] } })).toBe(true);
    expect(isPublic({ NotPrincipal: { AWS: "bob" } })).toBe(true);
  });

  it("not public: named principals; a deny says nothing", () => {
    expect(isPublic({ Principal: { AWS: "bob" } })).toBe(false);
    expect(isPublic({ Principal: { CanonicalUser: "bob-id" } })).toBe(false);
    expect(isPublic({ Effect: "Deny" })).toBe(false);
  });

  it("one public statement makes the policy public", () => {
    expect(isPublic({ Principal: { AWS: "bob" } }, {})).toBe(true);
  });

  it.each<[string, string, unknown, boolean]>([
    ["StringEquals", "aws:SourceVpc", "vpc-91237329", false],
    ["StringLike", "aws:SourceVpc", "vpc-*", true],
    ["StringLike", "aws:SourceVpc", "vpc-91237329", false],
    ["StringEquals", "aws:SourceVpc", ["vpc-1", "vpc-*"], true],
    ["StringNotEquals", "aws:SourceVpc", "vpc-91237329", true],
    ["StringEqualsIfExists", "aws:SourceVpc", "vpc-91237329", true],
    ["ForAllValues:StringEquals", "aws:SourceVpc", "vpc-91237329", true],
    ["ForAnyValue:StringEquals", "aws:PrincipalOrgID", "o-1", false],
    ["StringEquals", "aws:userid", "bob-id", false],
    ["StringEquals", "aws:username", variable("aws:username"), true],
    ["ArnEquals", "aws:SourceArn", "arn:aws:s3:::x", false],
    ["ArnLike", "aws:SourceArn", "arn:aws:s3:::*", true],
    ["StringEquals", "aws:Referer", "http://example.com/", true],
    ["StringEquals", "s3:x-amz-acl", "private", true],
    ["Bool", "aws:SecureTransport", "true", true],
    ["IpAddress", "aws:SourceIp", "203.0.113.0/24", false],
    ["IpAddress", "aws:SourceIp", ["203.0.113.0/24", "0.0.0.0/1"], true],
    ["IpAddress", "aws:SourceIp", "0.0.0.0/0", true],
    ["IpAddress", "aws:SourceIp", "54.0.0.0/8", false],
    ["IpAddress", "aws:SourceIp", "54.0.0.0/7", true],
    ["IpAddress", "aws:SourceIp", "10.0.0.0/8", false],
    ["IpAddress", "aws:SourceIp", "172.16.0.0/12", false],
    ["IpAddress", "aws:SourceIp", "2001:db8::/32", false],
    ["IpAddress", "aws:SourceIp", "2001:d00::/24", true],
    ["NotIpAddress", "aws:SourceIp", "203.0.113.0/24", true],
    ["IpAddressIfExists", "aws:SourceIp", "203.0.113.0/24", true],
  ])("%s %s %j: public %j", (operator, key, value, expected) => {
    expect(under(operator, key, value)).toBe(expected);
  });
});

const withBlock = (block: Partial<PublicAccessBlock>, rest: Parameters<typeof bucket>[0] = {}) =>
  bucket({ ...rest, publicAccessBlock: JSON.stringify({ ...NO_BLOCK, ...block }) });

describe("public access block", () => {
  const group = (name: "AllUsers" | "AuthenticatedUsers") =>
    JSON.stringify({
      grants: [
        { id: alice.id, permission: "FULL_CONTROL" },
        { id: bob.id, permission: "READ" },
        { group: name, permission: "READ" },
      ],
    });

  it("IgnorePublicAcls: grants to groups count for nothing, those to users count", () => {
    const ignoring = { ignorePublicAcls: true };
    for (const name of ["AllUsers", "AuthenticatedUsers"] as const) {
      const acl = group(name);
      const stranger = as(user("stranger"));
      const list = { action: "s3:ListBucket" };
      const read = { action: "s3:GetObject", key: "k", object: object(alice.id, { acl }) };
      expect(isAllowed(question(stranger, list, { bucket: bucket({ acl }) }))).toBe(true);
      expect(isAllowed(question(stranger, read, { bucket: bucket() }))).toBe(true);
      const of = { bucket: withBlock(ignoring, { acl }) };
      for (const need of [list, read]) {
        expect(isAllowed(question(stranger, need, of))).toBe(false);
        expect(isAllowed(question(anonymous, need, of))).toBe(false);
        expect(isAllowed(question(as(bob), need, of))).toBe(true);
        expect(isAllowed(question(as(alice), need, of))).toBe(true);
      }
    }
  });

  it("IgnorePublicAcls leaves policies alone", () => {
    const of = { bucket: withBlock({ ignorePublicAcls: true }, { policyDocument: statement() }) };
    expect(isAllowed(question(anonymous, { action: "s3:GetObject", key: "k" }, of))).toBe(true);
  });

  it("RestrictPublicBuckets: a public policy gives only the bucket's owner anything, not even the named bob", () => {
    const policyDocument = {
      Statement: [statement().Statement[0], statement({ Principal: { AWS: ["bob", "alice"] } }).Statement[0]],
    };
    const theirs = { action: "s3:GetObject", key: "k", object: object("somebody") };
    const open = { bucket: bucket({ policyDocument }) };
    const restricted = { bucket: withBlock({ restrictPublicBuckets: true }, { policyDocument }) };
    for (const caller of [anonymous, as(bob), as(alice)]) expect(isAllowed(question(caller, theirs, open))).toBe(true);
    expect(isAllowed(question(anonymous, theirs, restricted))).toBe(false);
    expect(isAllowed(question(as(bob), theirs, restricted))).toBe(false);
    expect(isAllowed(question(as(alice), theirs, restricted))).toBe(true);
    const entitled = user("bob", [{ Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }] }]);
    expect(isAllowed(question(as(entitled), theirs, restricted))).toBe(true);
  });

  it("RestrictPublicBuckets leaves a policy that is not public, and its denies", () => {
    const named = { policyDocument: statement({ Principal: { AWS: "bob" } }) };
    const need = { action: "s3:GetObject", key: "k" };
    expect(isAllowed(question(as(bob), need, { bucket: withBlock({ restrictPublicBuckets: true }, named) }))).toBe(
      true,
    );
    const denying = {
      policyDocument: { Statement: [statement().Statement[0], statement({ Effect: "Deny" }).Statement[0]] },
    };
    const of = { bucket: withBlock({ restrictPublicBuckets: true }, denying) };
    expect(isAllowed(question(as(alice), need, of))).toBe(false);
  });

  it("BlockPublicAcls and BlockPublicPolicy take nothing from what is there", () => {
    const of = {
      bucket: withBlock(
        { blockPublicAcls: true, blockPublicPolicy: true },
        { acl: group("AllUsers"), policyDocument: statement() },
      ),
    };
    expect(isAllowed(question(anonymous, { action: "s3:ListBucket" }, of))).toBe(true);
    expect(isAllowed(question(anonymous, { action: "s3:GetObject", key: "k" }, of))).toBe(true);
  });

  it("its document: what it leaves out is off; wrong ones are refused", () => {
    const block: PublicAccessBlock = { ...NO_BLOCK, ignorePublicAcls: true, restrictPublicBuckets: true };
    expect(publicAccessBlockFromXml(publicAccessBlockXml(block))).toEqual(block);
    const parse = (inside: string) =>
      publicAccessBlockFromXml(`<PublicAccessBlockConfiguration>${inside}</PublicAccessBlockConfiguration>`);
    expect(parse("")).toEqual(NO_BLOCK);
    expect(parse("<BlockPublicAcls>TRUE</BlockPublicAcls>")).toEqual({ ...NO_BLOCK, blockPublicAcls: true });
    expect(codeOf(() => parse("<BlockPublicAcls>yes</BlockPublicAcls>"))).toBe("MalformedXML");
    expect(codeOf(() => parse("<BlockAll>true</BlockAll>"))).toBe("MalformedXML");
  });
});

const of = (
  caller: Caller,
  defaultOwnership: (typeof settings)["defaultOwnership"] | "BucketOwnerEnforced" = "ObjectWriter",
) => ({
  caller,
  identities: directory.identities,
  settings: { ...settings, defaultOwnership },
});
const owning = (objectOwnership: string, rest: Parameters<typeof bucket>[0] = {}) =>
  bucket({ ...rest, ownership: JSON.stringify({ objectOwnership }) });
const headers = (values: Record<string, string> = {}) => new Map(Object.entries(values));
const GIVE = { "x-amz-acl": "bucket-owner-full-control" };

describe("whose a new object is, and its ACL", () => {
  it("ObjectWriter: the writer's", () => {
    expect(accessOfNewObject(of(as(bob)), bucket(), headers())).toEqual({ ownerId: bob.id, acl: null });
    expect(accessOfNewObject(of(as(bob)), bucket(), headers({ "x-amz-acl": "private" }))).toEqual({
      ownerId: bob.id,
      acl: null,
    });
    expect(accessOfNewObject(of(root), bucket(), headers()).ownerId).toBe(ROOT_ID);
    expect(accessOfNewObject(of(anonymous), bucket(), headers()).ownerId).toBe(ANONYMOUS_ID);
    const given = accessOfNewObject(of(as(bob)), bucket(), headers(GIVE));
    expect(given.ownerId).toBe(bob.id);
    expect(JSON.parse(given.acl ?? "").grants).toContainEqual({ id: alice.id, permission: "FULL_CONTROL" });
  });

  it("BucketOwnerPreferred: the bucket owner's, where the writer gives it away", () => {
    const preferred = owning("BucketOwnerPreferred");
    expect(accessOfNewObject(of(as(bob)), preferred, headers()).ownerId).toBe(bob.id);
    expect(accessOfNewObject(of(as(bob)), preferred, headers(GIVE))).toEqual({ ownerId: alice.id, acl: null });
  });

  it("BucketOwnerEnforced: the bucket owner's; only bucket-owner-full-control is taken", () => {
    const enforced = owning("BucketOwnerEnforced");
    const write = (values: Record<string, string>) => accessOfNewObject(of(as(bob)), enforced, headers(values));
    expect(write({})).toEqual({ ownerId: alice.id, acl: null });
    expect(write(GIVE)).toEqual({ ownerId: alice.id, acl: null });
    expect(write({ "x-amz-grant-full-control": `id="${alice.id}"` })).toEqual({ ownerId: alice.id, acl: null });
    for (const values of [
      { "x-amz-acl": "private" },
      { "x-amz-acl": "public-read" },
      { "x-amz-grant-read": `id="${alice.id}"` },
    ]) {
      expect(codeOf(() => write(values))).toBe("AccessControlListNotSupported");
    }
    expect(accessOfNewObject(of(as(bob), "BucketOwnerEnforced"), bucket(), headers()).ownerId).toBe(alice.id);
  });

  it("BlockPublicAcls: public ACLs are refused, others taken", () => {
    const blocked = withBlock({ blockPublicAcls: true });
    const write = (acl: string) => codeOf(() => accessOfNewObject(of(as(bob)), blocked, headers({ "x-amz-acl": acl })));
    for (const acl of ["public-read", "public-read-write", "authenticated-read"])
      expect(write(acl)).toBe("AccessDenied");
    for (const acl of ["private", "bucket-owner-read"]) expect(write(acl)).toBe("none");
  });

  it("a new bucket's: grants to others do not go with BucketOwnerEnforced", () => {
    expect(aclOfNewBucket(of(as(bob)), headers(), undefined)).toBeNull();
    expect(aclOfNewBucket(of(as(bob)), headers({ "x-amz-acl": "private" }), "BucketOwnerEnforced")).toBeNull();
    expect(aclOfNewBucket(of(as(bob)), headers({ "x-amz-acl": "public-read" }), undefined)).toContain("AllUsers");
    const refused = () => aclOfNewBucket(of(as(bob)), headers({ "x-amz-acl": "public-read" }), "BucketOwnerEnforced");
    expect(codeOf(refused)).toBe("InvalidBucketAclWithObjectOwnership");
  });
});

describe("ownership controls", () => {
  it("their document and header", () => {
    for (const name of ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] as const) {
      expect(ownershipFromXml(ownershipXml(name))).toBe(name);
      expect(ownershipFromHeaders(headers({ "x-amz-object-ownership": name }))).toBe(name);
    }
    expect(ownershipFromHeaders(headers())).toBeUndefined();
    expect(codeOf(() => ownershipFromHeaders(headers({ "x-amz-object-ownership": "Mine" })))).toBe("InvalidArgument");
    const rule = "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>";
    for (const inside of ["", rule + rule, "<Rule/>", rule.replace("ObjectWriter", "Mine"), "<Rules/>"]) {
      expect(codeOf(() => ownershipFromXml(`<OwnershipControls>${inside}</OwnershipControls>`))).toBe("MalformedXML");
    }
  });
});

describe("the expected bucket owner", () => {
  it("another than said: AccessDenied", () => {
    const check = (values: Record<string, string>) =>
      codeOf(() => checkExpectedOwner({ headers: headers(values) }, bucket()));
    expect(check({})).toBe("none");
    expect(check({ "x-amz-expected-bucket-owner": alice.id })).toBe("none");
    expect(check({ "x-amz-expected-bucket-owner": "012345678912" })).toBe("AccessDenied");
    expect(check({ "x-amz-expected-bucket-owner": "" })).toBe("AccessDenied");
    expect(check({ "x-amz-source-expected-bucket-owner": "x" })).toBe("none");
    const source = () =>
      checkExpectedOwner(
        { headers: headers({ "x-amz-source-expected-bucket-owner": "x" }) },
        bucket(),
        "x-amz-source-expected-bucket-owner",
      );
    expect(codeOf(source)).toBe("AccessDenied");
  });
});
