import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isAllowed } from "../../objectstore/access/decide.js";
import {
  alice,
  anonymous,
  as,
  bob,
  bucket,
  carol,
  object,
  question,
  root,
  statement,
  user,
} from "./s3-access-fixtures.js";

const theirs = { action: "s3:GetObject", key: "k", object: object(alice.id) };
const policy = (...statements: unknown[]) =>
  bucket({ policyDocument: { Version: "2012-10-17", Statement: statements } });
const allow = (change: Record<string, unknown> = {}) => statement(change).Statement[0];
const deny = (change: Record<string, unknown> = {}) => allow({ Effect: "Deny", ...change });
const both = ["arn:aws:s3:::b", "arn:aws:s3:::b/*"];

describe("hole: an explicit deny", () => {
  it("wins whatever the order of the statements", () => {
    const of = { bucket: policy(deny(), allow()) };
    const turned = { bucket: policy(allow(), deny()) };
    for (const caller of [anonymous, as(bob), as(alice), root]) {
      expect(isAllowed(question(caller, theirs, of))).toBe(false);
      expect(isAllowed(question(caller, theirs, turned))).toBe(false);
    }
  });

  it("wins in any order of any number of statements", () => {
    const statements = fc.array(fc.constantFrom(allow(), allow({ Action: "s3:*" }), allow({ Resource: both })), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(statements, fc.nat(), (some, place) => {
        const all = [...some];
        all.splice(place % (all.length + 1), 0, deny({ Principal: { AWS: "bob" } }));
        const of = { bucket: policy(...all) };
        expect(isAllowed(question(as(bob), theirs, of))).toBe(false);
        expect(isAllowed(question(as(carol), theirs, of))).toBe(some.length > 0);
      }),
    );
  });

  it("in the bucket's policy wins over a user's allow, and in the user's over the bucket's", () => {
    const admin = user("bob", [
      { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }] },
    ]);
    expect(isAllowed(question(as(admin), theirs))).toBe(true);
    expect(isAllowed(question(as(admin), theirs, { bucket: policy(deny()) }))).toBe(false);
    const denied = user("bob", [{ Statement: [{ Effect: "Deny", Action: "s3:GetObject", Resource: "*" }] }]);
    expect(isAllowed(question(as(denied), theirs, { bucket: policy(allow()) }))).toBe(false);
  });

  it("in one of a user's policies wins over an allow in another", () => {
    const mixed = user("bob", [
      { Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }] },
      { Statement: [{ Effect: "Deny", Action: "s3:Get*", Resource: "arn:aws:s3:::b/k" }] },
    ]);
    expect(isAllowed(question(as(mixed), theirs))).toBe(false);
    expect(isAllowed(question(as(mixed), { ...theirs, key: "l" }))).toBe(true);
  });

  it("takes from owners too, what they have by ownership and by ACL", () => {
    const open = object(alice.id, { acl: JSON.stringify({ grants: [{ group: "AllUsers", permission: "READ" }] }) });
    const need = { ...theirs, object: open };
    expect(isAllowed(question(anonymous, need))).toBe(true);
    expect(isAllowed(question(anonymous, need, { bucket: policy(deny()) }))).toBe(false);
    expect(isAllowed(question(as(alice), { action: "s3:PutBucketCORS" }))).toBe(true);
    const of = { bucket: policy(deny({ Action: "s3:PutBucketCORS", Resource: "arn:aws:s3:::b" })) };
    expect(isAllowed(question(as(alice), { action: "s3:PutBucketCORS" }, of))).toBe(false);
  });

  it("root keeps the bucket's policy in hand; the owner does not", () => {
    const of = { bucket: policy(deny({ Action: "s3:*", Resource: both })) };
    for (const action of ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"]) {
      expect(isAllowed(question(root, { action }, of))).toBe(true);
      expect(isAllowed(question(as(alice), { action }, of))).toBe(false);
    }
    expect(isAllowed(question(root, { action: "s3:ListBucket" }, of))).toBe(false);
  });
});

describe("hole: wildcards", () => {
  it.each<[string, string, boolean]>([
    ["arn:aws:s3:::b/*", "k", true],
    ["arn:aws:s3:::b/*", "", true],
    ["arn:aws:s3:::b/k", "k", true],
    ["arn:aws:s3:::b/k", "kk", false],
    ["arn:aws:s3:::b/K", "k", false],
    ["arn:aws:s3:::b/a/*", "a", false],
    ["arn:aws:s3:::b/a/*", "a/", true],
    ["arn:aws:s3:::b/a/*", "a/b/c", true],
    ["arn:aws:s3:::b/a/*", "ab/c", false],
    ["arn:aws:s3:::b/a/*", "a/../secret", true],
    ["arn:aws:s3:::b/?", "😀", true],
    ["arn:aws:s3:::b/*.jpg", "x/y.jpg", true],
    ["arn:aws:s3:::b/*.jpg", "x/y.jpgx", false],
    ["arn:aws:s3:::b/*/2024/*", "a/b/2024/c", true],
    ["arn:aws:s3:::b*", "k", true],
    ["arn:aws:s3:::?/k", "k", true],
    ["arn:aws:s3:::*k", "k", true],
    ["arn:aws:s3:::b/%2A", "*", false],
    ["arn:aws:s3:::b/k\n", "k", false],
  ])("%j names %j: %j", (Resource, key, expected) => {
    expect(isAllowed(question(anonymous, { ...theirs, key }, { bucket: policy(allow({ Resource })) }))).toBe(expected);
  });

  it("objects are not the bucket, and the bucket is not its objects", () => {
    const list = { action: "s3:ListBucket" };
    const objects = { bucket: policy(allow({ Action: "s3:*", Resource: "arn:aws:s3:::b/*" })) };
    expect(isAllowed(question(anonymous, list, objects))).toBe(false);
    const itself = { bucket: policy(allow({ Action: "s3:*", Resource: "arn:aws:s3:::b" })) };
    expect(isAllowed(question(anonymous, list, itself))).toBe(true);
    expect(isAllowed(question(anonymous, theirs, itself))).toBe(false);
  });

  it.each<[string, string, boolean]>([
    ["s3:Get*", "s3:GetObject", true],
    ["s3:Get*", "s3:GetObjectVersion", true],
    ["s3:GetObject", "s3:GetObjectVersion", false],
    ["s3:GetObject", "s3:GetObjectAcl", false],
    ["s3:*Object", "s3:PutObject", true],
    ["s3:*Object", "s3:PutObjectAcl", false],
    ["s3:?etObject", "s3:GetObject", true],
    ["s3:getobject", "s3:GetObject", true],
    ["*", "s3:GetObject", true],
    ["s3:*", "s3:DeleteObject", true],
  ])("action %s is %s: %j", (Action, action, expected) => {
    expect(isAllowed(question(anonymous, { action, key: "k" }, { bucket: policy(allow({ Action })) }))).toBe(expected);
  });
});

describe("hole: NotAction", () => {
  it("with Allow: everything else that the resources have", () => {
    const of = { bucket: policy(allow({ NotAction: "s3:Delete*" })) };
    expect(isAllowed(question(anonymous, theirs, of))).toBe(true);
    expect(isAllowed(question(anonymous, { action: "s3:DeleteObject", key: "k" }, of))).toBe(false);
    expect(isAllowed(question(anonymous, { action: "s3:DeleteObjectVersion", key: "k" }, of))).toBe(false);
    expect(isAllowed(question(anonymous, { action: "s3:DeleteBucket" }, of))).toBe(false);
  });

  it("with Deny: all but these are denied, and these are not allowed by it", () => {
    const of = { bucket: policy(deny({ NotAction: "s3:GetObject", Resource: both })) };
    expect(isAllowed(question(as(alice), theirs, of))).toBe(true);
    expect(isAllowed(question(as(alice), { action: "s3:PutObject", key: "k" }, of))).toBe(false);
    expect(isAllowed(question(as(alice), { action: "s3:GetObjectVersion", key: "k" }, of))).toBe(false);
    expect(isAllowed(question(anonymous, theirs, of))).toBe(false);
  });
});

describe("hole: NotResource", () => {
  it("with Allow: all resources but these", () => {
    const of = { bucket: policy(allow({ NotResource: "arn:aws:s3:::b/private/*" })) };
    expect(isAllowed(question(anonymous, theirs, of))).toBe(true);
    expect(isAllowed(question(anonymous, { ...theirs, key: "private/x" }, of))).toBe(false);
    expect(isAllowed(question(anonymous, { ...theirs, key: "private" }, of))).toBe(true);
  });

  it("with Deny: all but these are denied", () => {
    const of = { bucket: policy(deny({ NotResource: ["arn:aws:s3:::b/a/*", "arn:aws:s3:::b/c"] })) };
    expect(isAllowed(question(as(alice), { ...theirs, key: "a/x" }, of))).toBe(true);
    expect(isAllowed(question(as(alice), { ...theirs, key: "c" }, of))).toBe(true);
    expect(isAllowed(question(as(alice), { ...theirs, key: "d" }, of))).toBe(false);
  });

  it("of a user's Allow: the named bucket stays closed", () => {
    const but = user("bob", [{ Statement: [{ Effect: "Allow", Action: "s3:*", NotResource: "arn:aws:s3:::b/*" }] }]);
    expect(isAllowed(question(as(but), theirs))).toBe(false);
    expect(isAllowed(question(as(but), theirs, { bucket: bucket({}, "c") }))).toBe(true);
  });
});

describe("hole: NotPrincipal", () => {
  it("with Deny: all but these are denied, unsigned requests too", () => {
    const of = { bucket: policy(deny({ NotPrincipal: { AWS: ["alice", "bob"] } }), allow()) };
    expect(isAllowed(question(as(alice), theirs, of))).toBe(true);
    expect(isAllowed(question(as(bob), theirs, of))).toBe(true);
    expect(isAllowed(question(as(carol), theirs, of))).toBe(false);
    expect(isAllowed(question(anonymous, theirs, of))).toBe(false);
    expect(isAllowed(question(root, theirs, of))).toBe(false);
  });

  it("with Allow: all but these", () => {
    const of = { bucket: policy(allow({ NotPrincipal: { AWS: "bob" } })) };
    expect(isAllowed(question(as(bob), theirs, of))).toBe(false);
    expect(isAllowed(question(as(carol), theirs, of))).toBe(true);
  });

  it("of everybody: nobody", () => {
    const of = { bucket: policy(allow({ NotPrincipal: "*" })) };
    expect(isAllowed(question(as(bob), theirs, of))).toBe(false);
    expect(isAllowed(question(anonymous, theirs, of))).toBe(false);
  });
});

describe("principals", () => {
  it.each<[unknown, boolean, boolean]>([
    ["*", true, true],
    [{ AWS: "*" }, true, true],
    [{ AWS: "bob" }, true, false],
    [{ AWS: "bob-id" }, true, false],
    [{ AWS: "arn:aws:iam:::user/bob" }, true, false],
    [{ AWS: "arn:aws:iam::bob-id:root" }, true, false],
    [{ CanonicalUser: "bob-id" }, true, false],
    [{ AWS: "carol", CanonicalUser: "bob-id" }, true, false],
    [{ AWS: "carol" }, false, false],
    [{ AWS: "arn:aws:iam:::root" }, false, false],
  ])("%j: bob %j, the public %j", (Principal, forBob, forAll) => {
    const of = { bucket: policy(allow({ Principal })) };
    expect(isAllowed(question(as(bob), theirs, of))).toBe(forBob);
    expect(isAllowed(question(anonymous, theirs, of))).toBe(forAll);
  });

  it("hole: another user of a name that a policy gave rights to has none of them", () => {
    const of = { bucket: policy(allow({ Principal: { AWS: "bob" } })) };
    const again = Object.freeze({ ...bob, id: "another-id" });
    expect(isAllowed(question(as(again), theirs, of))).toBe(false);
  });
});

describe("users' policies", () => {
  const reader = { Statement: [{ Effect: "Allow", Action: ["s3:Get*", "s3:List*"], Resource: "*" }] };
  it("no policies: may create buckets and list its own", () => {
    for (const action of ["s3:CreateBucket", "s3:ListAllMyBuckets"]) {
      expect(isAllowed(question(as(bob), { action }, { bucket: undefined }))).toBe(true);
      expect(isAllowed(question(anonymous, { action }, { bucket: undefined }))).toBe(false);
    }
  });

  it("with policies: only as they allow", () => {
    const limited = as(user("bob", [reader]));
    expect(isAllowed(question(limited, { action: "s3:ListAllMyBuckets" }, { bucket: undefined }))).toBe(true);
    expect(isAllowed(question(limited, { action: "s3:CreateBucket" }, { bucket: undefined }))).toBe(false);
    expect(isAllowed(question(limited, theirs))).toBe(true);
    expect(isAllowed(question(limited, { action: "s3:PutObject", key: "k" }))).toBe(false);
  });

  it("CreateBucket by name", () => {
    const named = { Statement: [{ Effect: "Allow", Action: "s3:CreateBucket", Resource: "arn:aws:s3:::b" }] };
    const caller = as(user("bob", [named]));
    expect(isAllowed(question(caller, { action: "s3:CreateBucket" }, { bucket: undefined }))).toBe(true);
    const other = { ...question(caller, { action: "s3:CreateBucket" }, { bucket: undefined }) };
    expect(isAllowed({ ...other, request: { ...other.request, bucket: "c" } })).toBe(false);
  });

  it("CreateBucket of a name that another has: its policy has no say", () => {
    const closed = policy(deny({ Action: "s3:*", Resource: both }));
    expect(isAllowed(question(as(bob), { action: "s3:CreateBucket" }, { bucket: closed }))).toBe(true);
  });

  it("policies take nothing from what a user owns, unless they deny", () => {
    const owner = as({ ...user("alice", [reader]) });
    expect(isAllowed(question(owner, { action: "s3:PutObject", key: "k" }))).toBe(true);
  });

  it("one that cannot be read: nothing is allowed", () => {
    const broken = as(user("alice", ["{"]));
    expect(isAllowed(question(broken, theirs))).toBe(false);
    expect(isAllowed(question(broken, { action: "s3:ListAllMyBuckets" }, { bucket: undefined }))).toBe(false);
  });

  it("a bucket's that cannot be read: nothing but root's way to the policy", () => {
    const of = { bucket: bucket({ policy: "{" }) };
    expect(isAllowed(question(as(alice), theirs, of))).toBe(false);
    expect(isAllowed(question(root, theirs, of))).toBe(false);
    expect(isAllowed(question(root, { action: "s3:DeleteBucketPolicy" }, of))).toBe(true);
  });

  it("an action that S3 does not have: nobody but root", () => {
    expect(isAllowed(question(as(alice), { action: "s3:Frobnicate" }))).toBe(false);
    expect(isAllowed(question(root, { action: "s3:Frobnicate" }))).toBe(true);
  });
});

describe("the bucket of a copy's source", () => {
  it("its own policy decides, not that of the request's bucket", () => {
    const source = bucket({ policyDocument: statement({ Resource: "arn:aws:s3:::src/*" }) }, "src");
    const need = { ...theirs, bucket: source };
    expect(isAllowed(question(anonymous, need, { bucket: source }))).toBe(true);
    expect(isAllowed(question(anonymous, { ...need, key: "k" }, { bucket: bucket() }))).toBe(false);
  });
});
