import { describe, expect, it } from "vitest";
import { type Acl, ANONYMOUS_ID, type Grant, readAcl, storedAcl } from "../../objectstore/access/acl.js";
import { aclFromHeaders, hasAclHeaders, needsAclPermission } from "../../objectstore/access/acl-headers.js";
import { aclFromXml, aclXml } from "../../objectstore/access/acl-xml.js";
import { ACTIONS } from "../../objectstore/access/actions.js";
import { isAllowed } from "../../objectstore/access/decide.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { alice, anonymous, as, bob, bucket, carol, directory, object, question, root } from "./s3-access-fixtures.js";

const stored = (...grants: Grant[]) => JSON.stringify({ grants });
const full = (id: string): Grant => ({ id, permission: "FULL_CONTROL" });

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return "none";
}

/** S3 user guide, "ACL overview": the mapping of ACL permissions to actions. */
const ON_BUCKET: Record<string, string[]> = {
  READ: ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"],
  WRITE: ["s3:PutObject"],
  READ_ACP: ["s3:GetBucketAcl"],
  WRITE_ACP: ["s3:PutBucketAcl"],
};
const ON_OBJECT: Record<string, string[]> = {
  READ: [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectAttributes",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectTorrent",
    "s3:GetObjectVersionTorrent",
  ],
  WRITE: [],
  READ_ACP: ["s3:GetObjectAcl", "s3:GetObjectVersionAcl"],
  WRITE_ACP: ["s3:PutObjectAcl", "s3:PutObjectVersionAcl"],
};
for (const table of [ON_BUCKET, ON_OBJECT]) table.FULL_CONTROL = Object.values(table).flat();

describe("what an ACL's grant gives, and that it gives nothing else", () => {
  const grantees: [string, (permission: Grant["permission"]) => Grant, ("anonymous" | "bob" | "carol")[]][] = [
    ["bob", (permission) => ({ id: bob.id, permission }), ["bob"]],
    ["AllUsers", (permission) => ({ group: "AllUsers", permission }), ["anonymous", "bob", "carol"]],
    ["AuthenticatedUsers", (permission) => ({ group: "AuthenticatedUsers", permission }), ["bob", "carol"]],
    ["LogDelivery", (permission) => ({ group: "LogDelivery", permission }), []],
  ];
  const callers = { anonymous, bob: as(bob), carol: as(carol) };
  const cases = grantees.flatMap(([name, grant, given]) =>
    (["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"] as const).map((permission) => ({
      name,
      permission,
      grant: grant(permission),
      given,
    })),
  );

  it.each(cases)("$permission on the bucket to $name", ({ permission, grant, given }) => {
    const of = { bucket: bucket({ acl: stored(full(alice.id), grant) }) };
    for (const [name, caller] of Object.entries(callers)) {
      const has = (given as string[]).includes(name);
      for (const action of ACTIONS.keys()) {
        if (ACTIONS.get(action)?.resource === "service" || action === "s3:CreateBucket") continue;
        const need = { action, key: "k", object: object(alice.id) };
        expect(isAllowed(question(caller, need, of)), `${name} ${action}`).toBe(
          has && ON_BUCKET[permission]?.includes(action) === true,
        );
      }
    }
  });

  it.each(cases)("$permission on the object to $name", ({ permission, grant, given }) => {
    const granted = object(alice.id, { acl: stored(full(alice.id), grant) });
    for (const [name, caller] of Object.entries(callers)) {
      const has = (given as string[]).includes(name);
      for (const action of ACTIONS.keys()) {
        if (ACTIONS.get(action)?.resource === "service" || action === "s3:CreateBucket") continue;
        expect(isAllowed(question(caller, { action, key: "k", object: granted })), `${name} ${action}`).toBe(
          has && ON_OBJECT[permission]?.includes(action) === true,
        );
      }
    }
  });
});

describe("owners", () => {
  const theirs = object(bob.id);

  it("the bucket's owner: all of the bucket; of another's object to delete, tag and lock it, not to read it", () => {
    for (const [action, { resource }] of ACTIONS) {
      if (resource === "bucket" && action !== "s3:CreateBucket")
        expect(isAllowed(question(as(alice), { action })), action).toBe(true);
    }
    const may = (action: string) => isAllowed(question(as(alice), { action, key: "k", object: theirs }));
    for (const action of ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectTagging", "s3:PutObjectRetention"])
      expect(may(action), action).toBe(true);
    for (const action of ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAcl", "s3:PutObjectAcl"])
      expect(may(action), action).toBe(false);
  });

  it("the object's owner: reads it, its tags and its ACL; nothing of the bucket", () => {
    const may = (action: string) => isAllowed(question(as(bob), { action, key: "k", object: theirs }));
    for (const action of ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObjectVersionAcl", "s3:GetObjectTagging"])
      expect(may(action), action).toBe(true);
    for (const action of ["s3:ListBucket", "s3:PutObject", "s3:DeleteObject", "s3:PutObjectRetention"])
      expect(may(action), action).toBe(false);
  });

  it("WRITE on the bucket: deletes what the grantee owns, and no more", () => {
    const of = { bucket: bucket({ acl: stored(full(alice.id), { id: bob.id, permission: "WRITE" }) }) };
    for (const action of ["s3:DeleteObject", "s3:DeleteObjectVersion"]) {
      expect(isAllowed(question(as(bob), { action, key: "k", object: theirs }, of))).toBe(true);
      expect(isAllowed(question(as(bob), { action, key: "k", object: object(alice.id) }, of))).toBe(false);
      expect(isAllowed(question(as(bob), { action, key: "k" }, of))).toBe(false);
    }
  });

  it("an ACL without its owner: the owner may read and change it, and has no more of what ACLs give", () => {
    const of = { bucket: bucket({ acl: stored() }) };
    const may = (action: string) => isAllowed(question(as(alice), { action, key: "k" }, of));
    for (const action of ["s3:GetBucketAcl", "s3:PutBucketAcl", "s3:PutBucketPolicy"]) expect(may(action)).toBe(true);
    for (const action of ["s3:ListBucket", "s3:PutObject", "s3:DeleteObject"]) expect(may(action)).toBe(false);
    const mine = object(alice.id, { acl: stored() });
    expect(isAllowed(question(as(alice), { action: "s3:GetObject", key: "k", object: mine }))).toBe(false);
    expect(isAllowed(question(as(alice), { action: "s3:PutObjectAcl", key: "k", object: mine }))).toBe(true);
  });

  it("an upload: its initiator may list its parts and abort it", () => {
    for (const action of ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]) {
      const need = { action, key: "k", initiatorId: bob.id };
      expect(isAllowed(question(as(bob), need))).toBe(true);
      expect(isAllowed(question(as(alice), need))).toBe(true);
      expect(isAllowed(question(as(carol), need))).toBe(false);
      expect(isAllowed(question(anonymous, { ...need, initiatorId: ANONYMOUS_ID }))).toBe(false);
    }
  });

  it("an object that is not there: its ACL gives nothing to anybody but the bucket's owner", () => {
    const of = { bucket: bucket({ acl: stored(full(alice.id), { group: "AllUsers", permission: "READ" }) }) };
    expect(isAllowed(question(anonymous, { action: "s3:GetObject", key: "k" }, of))).toBe(false);
    expect(isAllowed(question(anonymous, { action: "s3:ListBucket" }, of))).toBe(true);
    expect(isAllowed(question(as(alice), { action: "s3:GetObject", key: "k" }, of))).toBe(true);
  });

  it("an ACL for what is being written: who may write", () => {
    const of = { bucket: bucket({ acl: stored(full(alice.id), { id: bob.id, permission: "WRITE" }) }) };
    expect(isAllowed(question(as(bob), { action: "s3:PutObjectAcl", key: "k" }, of))).toBe(true);
    expect(isAllowed(question(as(carol), { action: "s3:PutObjectAcl", key: "k" }, of))).toBe(false);
    expect(isAllowed(question(as(bob), { action: "s3:PutObjectTagging", key: "k" }, of))).toBe(false);
  });

  it("what an unsigned request stored: read by unsigned requests, its ACL closed to them", () => {
    const nobodys = object(ANONYMOUS_ID);
    const may = (action: string) => isAllowed(question(anonymous, { action, key: "k", object: nobodys }));
    expect(may("s3:GetObject")).toBe(true);
    expect(may("s3:GetObjectAcl")).toBe(false);
    expect(may("s3:PutObjectAcl")).toBe(false);
    expect(may("s3:GetObjectTagging")).toBe(false);
  });

  it("root: all", () => {
    const of = { bucket: bucket({ acl: stored() }) };
    for (const action of ACTIONS.keys()) expect(isAllowed(question(root, { action, key: "k" }, of))).toBe(true);
  });
});

describe("BucketOwnerEnforced", () => {
  const config = { ownership: JSON.stringify({ objectOwnership: "BucketOwnerEnforced" }) };
  const open = stored({ group: "AllUsers", permission: "FULL_CONTROL" });
  const of = { bucket: bucket({ ...config, acl: open }) };

  it("no ACL counts; the bucket's owner owns all", () => {
    const theirs = object(bob.id, { acl: open });
    for (const action of ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObjectAcl", "s3:PutObject", "s3:ListBucket"]) {
      const need = { action, key: "k", object: theirs };
      expect(isAllowed(question(as(alice), need, of)), action).toBe(true);
      expect(isAllowed(question(as(bob), need, of)), action).toBe(false);
      expect(isAllowed(question(anonymous, need, of)), action).toBe(false);
    }
  });
});

describe("ACLs in headers", () => {
  const of = { kind: "object", ownerId: bob.id, bucketOwnerId: alice.id } as const;
  const parse = (headers: Record<string, string>, owned: Parameters<typeof aclFromHeaders>[2] = of) =>
    aclFromHeaders(directory, new Map(Object.entries(headers)), owned);
  const mine = full(bob.id);

  it.each<[string, Acl]>([
    ["private", [mine]],
    ["public-read", [mine, { group: "AllUsers", permission: "READ" }]],
    [
      "public-read-write",
      [mine, { group: "AllUsers", permission: "READ" }, { group: "AllUsers", permission: "WRITE" }],
    ],
    ["authenticated-read", [mine, { group: "AuthenticatedUsers", permission: "READ" }]],
    ["aws-exec-read", [mine]],
    ["bucket-owner-read", [mine, { id: alice.id, permission: "READ" }]],
    ["bucket-owner-full-control", [mine, full(alice.id)]],
  ])("canned %s", (name, expected) => {
    expect(parse({ "x-amz-acl": name })).toEqual(expected);
  });

  it("log-delivery-write: of buckets only; those for objects say nothing on a bucket", () => {
    const bucketOf = { kind: "bucket", ownerId: bob.id, bucketOwnerId: bob.id } as const;
    expect(codeOf(() => parse({ "x-amz-acl": "log-delivery-write" }))).toBe("InvalidArgument");
    expect(parse({ "x-amz-acl": "log-delivery-write" }, bucketOf)).toEqual([
      mine,
      { group: "LogDelivery", permission: "WRITE" },
      { group: "LogDelivery", permission: "READ_ACP" },
    ]);
    expect(parse({ "x-amz-acl": "bucket-owner-read" }, bucketOf)).toEqual([mine]);
  });

  it("grants: by id, group and email, with quotes and without", () => {
    const all = "http://acs.amazonaws.com/groups/global/AllUsers";
    expect(
      parse({
        "x-amz-grant-read": `id="${bob.id}", uri=${all} ,emailAddress="alice@example.com"`,
        "x-amz-grant-full-control": `ID=${alice.id}`,
        "x-amz-grant-write-acp": `id="${bob.id}",id='${bob.id}'`,
      }),
    ).toEqual([
      full(alice.id),
      { id: bob.id, permission: "READ" },
      { group: "AllUsers", permission: "READ" },
      { id: alice.id, permission: "READ" },
      { id: bob.id, permission: "WRITE_ACP" },
    ]);
  });

  it.each([
    ["an unknown canned ACL", { "x-amz-acl": "public" }, "InvalidArgument"],
    ["an empty canned ACL", { "x-amz-acl": "" }, "InvalidArgument"],
    ["a prototype's name", { "x-amz-acl": "constructor" }, "InvalidArgument"],
    ["both kinds", { "x-amz-acl": "private", "x-amz-grant-read": `id="${bob.id}"` }, "InvalidRequest"],
    ["an unknown id", { "x-amz-grant-read": 'id="nobody"' }, "InvalidArgument"],
    ["an unknown group", { "x-amz-grant-read": 'uri="http://example.com"' }, "InvalidArgument"],
    ["an unknown email", { "x-amz-grant-read": 'emailAddress="x@y"' }, "UnresolvableGrantByEmailAddress"],
    ["an empty email", { "x-amz-grant-read": 'emailAddress=""' }, "UnresolvableGrantByEmailAddress"],
    ["an unknown type", { "x-amz-grant-read": 'name="bob"' }, "InvalidArgument"],
    ["no type", { "x-amz-grant-read": "bob" }, "InvalidArgument"],
    ["nothing", { "x-amz-grant-read": "" }, "InvalidArgument"],
    ["an open quote", { "x-amz-grant-read": 'id="bob-id' }, "InvalidArgument"],
    ["text after a quote", { "x-amz-grant-read": 'id="bob-id"x' }, "InvalidArgument"],
    ["more than a hundred", { "x-amz-grant-read": Array(101).fill(`id="${bob.id}"`).join(",") }, "InvalidArgument"],
  ])("%s: %j", (_, headers, code) => {
    expect(codeOf(() => parse(headers))).toBe(code);
  });

  it("none: undefined", () => {
    expect(parse({ "x-amz-tagging": "a=b" })).toBeUndefined();
    expect(hasAclHeaders(new Map([["x-amz-tagging", "a=b"]]))).toBe(false);
    expect(hasAclHeaders(new Map([["x-amz-acl", "private"]]))).toBe(true);
    expect(hasAclHeaders(new Map([["x-amz-grant-read-acp", ""]]))).toBe(true);
  });

  it("what takes a permission of its own: all but `private`", () => {
    expect(needsAclPermission(new Map())).toBe(false);
    expect(needsAclPermission(new Map([["x-amz-acl", "private"]]))).toBe(false);
    expect(needsAclPermission(new Map([["x-amz-acl", "public-read"]]))).toBe(true);
    expect(needsAclPermission(new Map([["x-amz-acl", ""]]))).toBe(true);
    const both = new Map([
      ["x-amz-acl", "private"],
      ["x-amz-grant-read", "x"],
    ]);
    expect(needsAclPermission(both)).toBe(true);
  });
});

describe("ACLs in XML", () => {
  const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
  const document = (grants: string, owner = `<Owner><ID>${alice.id}</ID></Owner>`) =>
    `<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${owner}<AccessControlList>${grants}</AccessControlList></AccessControlPolicy>`;
  const grant = (type: string, inside: string, permission = "READ") =>
    `<Grant><Grantee ${XSI} xsi:type="${type}">${inside}</Grantee><Permission>${permission}</Permission></Grant>`;
  const parse = (text: string) => aclFromXml(directory, text, alice.id);

  it("what is written is read back the same, in S3's order of elements", () => {
    const acl: Acl = [
      full(alice.id),
      { group: "AllUsers", permission: "READ" },
      { id: bob.id, permission: "WRITE_ACP" },
    ];
    const text = aclXml(directory, alice.id, acl);
    expect(parse(text)).toEqual(acl);
    expect(text).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
        `<Owner><ID>alice-id</ID><DisplayName>alice the user</DisplayName></Owner><AccessControlList>` +
        `<Grant><Grantee ${XSI} xsi:type="CanonicalUser"><ID>alice-id</ID><DisplayName>alice the user</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant>` +
        `<Grant><Grantee ${XSI} xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>` +
        `<Grant><Grantee ${XSI} xsi:type="CanonicalUser"><ID>bob-id</ID><DisplayName>bob the user</DisplayName></Grantee><Permission>WRITE_ACP</Permission></Grant>` +
        "</AccessControlList></AccessControlPolicy>",
    );
  });

  it("an email becomes an id; a grant given twice stays once; no grants are fine", () => {
    const email = grant("AmazonCustomerByEmail", "<EmailAddress>bob@example.com</EmailAddress>");
    const byId = grant("CanonicalUser", `<ID>${bob.id}</ID><DisplayName>x</DisplayName>`);
    expect(parse(document(email + byId))).toEqual([{ id: bob.id, permission: "READ" }]);
    expect(parse(document(""))).toEqual([]);
  });

  it.each([
    ["no XML", "x", "MalformedACLError"],
    ["another root", "<Acl/>", "MalformedACLError"],
    ["no owner", document("", ""), "MalformedACLError"],
    ["another owner", document("", "<Owner><ID>bob-id</ID></Owner>"), "AccessDenied"],
    ["an unknown permission", document(grant("CanonicalUser", "<ID>bob-id</ID>", "ALL")), "MalformedACLError"],
    ["an unknown type", document(grant("Nobody", "<ID>bob-id</ID>")), "MalformedACLError"],
    ["a type without its element", document(grant("Group", "<ID>bob-id</ID>")), "MalformedACLError"],
    [
      "no type",
      document("<Grant><Grantee><ID>bob-id</ID></Grantee><Permission>READ</Permission></Grant>"),
      "MalformedACLError",
    ],
    ["an unknown id", document(grant("CanonicalUser", "<ID>nobody</ID>")), "InvalidArgument"],
    ["an unknown group", document(grant("Group", "<URI>http://x/</URI>")), "InvalidArgument"],
    [
      "an unknown email",
      document(grant("AmazonCustomerByEmail", "<EmailAddress>x@y</EmailAddress>")),
      "UnresolvableGrantByEmailAddress",
    ],
    ["more than a hundred", document(grant("CanonicalUser", "<ID>bob-id</ID>").repeat(101)), "MalformedACLError"],
    ["an unknown element", document("<Grants/>"), "MalformedACLError"],
  ])("%s", (_, text, code) => {
    expect(codeOf(() => parse(text))).toBe(code);
  });
});

describe("the stored form", () => {
  it("is null where it says what the default says", () => {
    expect(storedAcl([full(alice.id)], alice.id)).toBeNull();
    expect(readAcl(null, alice.id)).toEqual([full(alice.id)]);
    const acl: Acl = [full(alice.id), { group: "AllUsers", permission: "READ" }];
    expect(readAcl(storedAcl(acl, alice.id), alice.id)).toEqual(acl);
    expect(readAcl(storedAcl([], alice.id), alice.id)).toEqual([]);
  });

  it.each([
    "",
    "{",
    "[]",
    "null",
    '{"grants":[{}]}',
    '{"grants":[{"id":1,"permission":"READ"}]}',
    '{"grants":[{"id":"x","permission":"ALL"}]}',
    '{"grants":[null]}',
  ])("damaged: %s: never the default", (text) => {
    expect(() => readAcl(text, alice.id)).toThrow("a stored ACL cannot be read");
  });
});
