import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isAllowed } from "../../objectstore/access/decide.js";
import { openBody } from "../../objectstore/body/open-body.js";
import { deleteBucketOwnershipControls } from "../../objectstore/operations/delete-bucket-ownership-controls.js";
import { deleteBucketPolicy } from "../../objectstore/operations/delete-bucket-policy.js";
import { deletePublicAccessBlock } from "../../objectstore/operations/delete-public-access-block.js";
import { getBucketAcl } from "../../objectstore/operations/get-bucket-acl.js";
import { getBucketOwnershipControls } from "../../objectstore/operations/get-bucket-ownership-controls.js";
import { getBucketPolicy } from "../../objectstore/operations/get-bucket-policy.js";
import { getBucketPolicyStatus } from "../../objectstore/operations/get-bucket-policy-status.js";
import { getObjectAcl } from "../../objectstore/operations/get-object-acl.js";
import { getPublicAccessBlock } from "../../objectstore/operations/get-public-access-block.js";
import { putBucketAcl } from "../../objectstore/operations/put-bucket-acl.js";
import { putBucketOwnershipControls } from "../../objectstore/operations/put-bucket-ownership-controls.js";
import { putBucketPolicy } from "../../objectstore/operations/put-bucket-policy.js";
import { putObjectAcl } from "../../objectstore/operations/put-object-acl.js";
import { putPublicAccessBlock } from "../../objectstore/operations/put-public-access-block.js";
import type { Caller, Operation, RequestContext, S3Response } from "../../objectstore/types.js";
import {
  type LocalObjectEngine,
  type ObjectWriter,
  openObjectEngine,
  startObjectWriter,
} from "../../src/engines/local/objects/index.js";
import { S3Error, toS3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import {
  alice,
  anonymous,
  as,
  bob,
  directory,
  ROOT_ID,
  root,
  SIGNED,
  statement,
  UNSIGNED,
} from "./s3-access-fixtures.js";
import { requestOf } from "./s3-requests.js";

let dir: string;
let writer: ObjectWriter;
let engine: LocalObjectEngine;
const log = pino({ level: "silent" });
const base = { requestId: "test", signal: new AbortController().signal, log };

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "s3-access-"));
  writer = await startObjectWriter({ dir });
  engine = await openObjectEngine({ dir });
});

afterAll(async () => {
  await engine?.close();
  await writer?.close();
  await rm(dir, { recursive: true, force: true });
});

let name = "";
let made = 0;

beforeEach(async () => {
  made += 1;
  name = `bucket-${made}`;
  await engine.createBucket(base, {
    name,
    ownerId: alice.id,
    region: "us-east-1",
    objectLock: false,
    durability: "strict",
    quotaBytes: null,
    quotaObjects: null,
    config: {},
  });
});

interface Call {
  caller?: Caller;
  key?: string;
  query?: string;
  headers?: Record<string, string>;
  body?: string;
  /** The bucket as the request saw it at its start, where it is not what it is now. */
  seen?: Bucket | undefined;
  /** Done once, right after the operation has looked at the object. */
  meanwhile?: () => Promise<void>;
}

const settings = {
  region: "us-east-1",
  domains: [],
  rootUserId: ROOT_ID,
  lifecycleDayMs: 86_400_000,
  defaultOwnership: "ObjectWriter",
} as const;

/** The engine, between whose first look at an object and what follows something happens. */
function interrupted(meanwhile: () => Promise<void>): LocalObjectEngine {
  let done = false;
  const head: LocalObjectEngine["head"] = async (ctx, ref) => {
    const version = await engine.head(ctx, ref);
    if (!done) {
      done = true;
      await meanwhile();
    }
    return version;
  };
  return new Proxy(engine, {
    get: (target, property) => {
      if (property === "head") return head;
      const member: unknown = Reflect.get(target, property, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** The operation on the test's bucket, as a request's pipeline runs it. */
async function run(operation: Operation, call: Call = {}): Promise<S3Response> {
  const { caller = as(alice), key, body = "" } = call;
  const headers = Object.entries({
    host: "localhost",
    "content-length": String(Buffer.byteLength(body)),
    ...call.headers,
  });
  const target = `/${name}${key === undefined ? "" : `/${key}`}${call.query === undefined ? "" : `?${call.query}`}`;
  const request = requestOf("PUT", target, headers);
  request.message.push(body);
  request.message.push(null);
  const bucket = call.seen ?? (await engine.bucket(base, name));
  if (!bucket) throw new S3Error("NoSuchBucket");
  const auth = { ...(caller.kind === "anonymous" ? UNSIGNED : SIGNED), caller, payload: { kind: "unsigned" } } as const;
  const allowed: RequestContext["allowed"] = async (need) =>
    isAllowed({ caller, bucket: need.bucket ?? bucket, need, request, auth, settings });
  const identities = { ...engine.identities, ...directory.identities };
  const ctx: RequestContext = {
    ...base,
    ...{ request, auth, caller, identities, settings, bucket, allowed },
    engine: call.meanwhile ? interrupted(call.meanwhile) : engine,
    key: key ?? "",
    // Of POST forms alone.
    become: () => {
      throw new S3Error("NotImplemented");
    },
    body: openBody(request, auth.payload),
    allow: async (need) => {
      if (!(await allowed(need))) throw new S3Error("AccessDenied");
    },
  };
  return operation.run(ctx);
}

/** The code of the error that it answers. */
async function code(operation: Operation, call: Call = {}): Promise<string> {
  try {
    const { status } = await run(operation, call);
    return String(status);
  } catch (error) {
    const { status, code } = toS3Error(error);
    return `${status} ${code}`;
  }
}

const text = async (operation: Operation, call: Call = {}) => String((await run(operation, call)).body);

async function put(key: string, ownerId: string, acl: string | null = null): Promise<void> {
  await engine.put(base, {
    bucket: name,
    key,
    body: {
      bytes: Buffer.from("x"),
      lengthBytes: 1,
      finish: () => ({
        md5: "9dd4e461268c8034f5c8564e155c67a6",
        checksum: { algorithm: "CRC32", type: "FULL_OBJECT", value: "jNzUNQ==" },
      }),
    },
    attributes: {
      contentType: "text/plain",
      system: [],
      user: [],
      storageClass: "STANDARD",
      tags: [],
      acl,
      ownerId,
      retention: null,
      legalHold: null,
    },
    preconditions: {},
  });
}

const policyFor = (change: Record<string, unknown> = {}) =>
  JSON.stringify(statement({ Resource: `arn:aws:s3:::${name}/*`, ...change }), undefined, 2);
const PUBLIC = "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>";

describe("bucket policy", () => {
  it("comes back byte for byte as it was put, and is gone when it is deleted", async () => {
    expect(await code(getBucketPolicy)).toBe("404 NoSuchBucketPolicy");
    const policy = `${policyFor()}\n `;
    expect(await code(putBucketPolicy, { body: policy })).toBe("204");
    const response = await run(getBucketPolicy);
    expect(response.body).toBe(policy);
    expect(response.headers["content-type"]).toBe("application/json");
    expect(await code(deleteBucketPolicy)).toBe("204");
    expect(await code(deleteBucketPolicy)).toBe("204");
    expect(await code(getBucketPolicy)).toBe("404 NoSuchBucketPolicy");
  });

  it("is in force at once", async () => {
    await put("k", alice.id);
    expect(await code(getObjectAcl, { caller: anonymous, key: "k" })).toBe("403 AccessDenied");
    await run(putBucketPolicy, { body: policyFor({ Action: "s3:GetObjectAcl" }) });
    expect(await code(getObjectAcl, { caller: anonymous, key: "k" })).toBe("200");
  });

  it("wrong, or too long: MalformedPolicy, and the one there stays", async () => {
    const policy = policyFor();
    await run(putBucketPolicy, { body: policy });
    for (const body of ["", "{", policyFor({ Resource: "arn:aws:s3:::other/*" }), " ".repeat(20 * 1024 + 1)]) {
      expect(await code(putBucketPolicy, { body })).toBe("400 MalformedPolicy");
    }
    expect(await text(getBucketPolicy)).toBe(policy);
  });

  it("of others: AccessDenied", async () => {
    for (const caller of [as(bob), anonymous]) {
      for (const operation of [getBucketPolicy, putBucketPolicy, deleteBucketPolicy, getBucketPolicyStatus]) {
        expect(await code(operation, { caller, body: policyFor() })).toBe("403 AccessDenied");
      }
    }
  });

  it("that locks its owner out: refused without the confirming header; root mends it", async () => {
    const body = policyFor({ Effect: "Deny", Action: "s3:*", Resource: [`arn:aws:s3:::${name}`] });
    expect(await code(putBucketPolicy, { body })).toBe("403 AccessDenied");
    const headers = { "x-amz-confirm-remove-self-bucket-access": "true" };
    expect(await code(putBucketPolicy, { body, headers })).toBe("204");
    expect(await code(getBucketPolicy)).toBe("403 AccessDenied");
    expect(await code(deleteBucketPolicy)).toBe("403 AccessDenied");
    expect(await code(getBucketPolicy, { caller: root })).toBe("200");
    expect(await code(deleteBucketPolicy, { caller: root })).toBe("204");
    expect(await code(getBucketPolicyStatus)).toBe("200");
  });

  it("status: by policy and by ACL", async () => {
    const isPublic = async () => /<IsPublic>(.*)<\/IsPublic>/.exec(await text(getBucketPolicyStatus))?.[1];
    expect(await isPublic()).toBe("false");
    await run(putBucketPolicy, { body: policyFor({ Principal: { AWS: "bob" } }) });
    expect(await isPublic()).toBe("false");
    await run(putBucketPolicy, { body: policyFor() });
    expect(await isPublic()).toBe("true");
    await run(deleteBucketPolicy);
    await run(putBucketAcl, { headers: { "x-amz-acl": "authenticated-read" } });
    expect(await isPublic()).toBe("true");
    const body =
      "<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>";
    await run(putPublicAccessBlock, { body });
    expect(await isPublic()).toBe("false");
  });
});

describe("bucket ACL", () => {
  it("canned, by grants and by XML; what is read can be put back", async () => {
    await run(putBucketAcl, { headers: { "x-amz-acl": "public-read" } });
    const before = await text(getBucketAcl);
    expect(before).toContain(`${PUBLIC}</Grantee><Permission>READ</Permission>`);
    await run(putBucketAcl, { headers: { "x-amz-grant-read-acp": `id="${bob.id}"` } });
    expect(await text(getBucketAcl, { caller: as(bob) })).toContain("<Permission>READ_ACP</Permission>");
    await run(putBucketAcl, { body: before });
    expect(await text(getBucketAcl)).toBe(before);
    await run(putBucketAcl, { headers: { "x-amz-acl": "private" } });
    expect(await text(getBucketAcl)).not.toContain("AllUsers");
  });

  it.each<[string, Call, string]>([
    ["nothing asked for", {}, "400 MissingSecurityHeader"],
    ["a header and a body", { headers: { "x-amz-acl": "private" }, body: "<a/>" }, "400 UnexpectedContent"],
    ["a body that is no ACL", { body: "<a/>" }, "400 MalformedACLError"],
    ["an unknown canned ACL", { headers: { "x-amz-acl": "all" } }, "400 InvalidArgument"],
    ["of another's bucket", { caller: as(bob), headers: { "x-amz-acl": "private" } }, "403 AccessDenied"],
    ["unsigned", { caller: anonymous, headers: { "x-amz-acl": "public-read" } }, "403 AccessDenied"],
  ])("%s", async (_, call, expected) => {
    expect(await code(putBucketAcl, call)).toBe(expected);
  });

  it("unknown grantees", async () => {
    expect(await code(putBucketAcl, { headers: { "x-amz-grant-read": 'id="nobody"' } })).toBe("400 InvalidArgument");
    const email = { "x-amz-grant-read": 'emailAddress="nobody@example.com"' };
    expect(await code(putBucketAcl, { headers: email })).toBe("400 UnresolvableGrantByEmailAddress");
  });
});

describe("object ACL", () => {
  it("is the object's owner's to change, not the bucket's", async () => {
    await put("k", bob.id);
    const call = { key: "k", headers: { "x-amz-acl": "bucket-owner-full-control" } };
    expect(await code(putObjectAcl, call)).toBe("403 AccessDenied");
    expect(await code(getObjectAcl, { key: "k" })).toBe("403 AccessDenied");
    expect(await code(putObjectAcl, { ...call, caller: as(bob) })).toBe("200");
    const acl = await text(getObjectAcl, { key: "k" });
    expect(acl).toContain(`<Owner><ID>${bob.id}</ID><DisplayName>bob the user</DisplayName></Owner>`);
    expect(acl).toContain(`<ID>${alice.id}</ID>`);
    // With FULL_CONTROL the bucket's owner may change it too.
    expect(await code(putObjectAcl, { key: "k", headers: { "x-amz-acl": "private" } })).toBe("200");
    expect(await code(getObjectAcl, { key: "k" })).toBe("403 AccessDenied");
  });

  it("of a key that is not there: NoSuchKey for who may list, AccessDenied for others", async () => {
    for (const operation of [getObjectAcl, putObjectAcl]) {
      const call = { key: "none", headers: { "x-amz-acl": "private" } };
      expect(await code(operation, call)).toBe("404 NoSuchKey");
      expect(await code(operation, { ...call, caller: as(bob) })).toBe("403 AccessDenied");
      expect(await code(operation, { ...call, caller: anonymous })).toBe("403 AccessDenied");
    }
  });

  it("another object put in its place in between: that one's owner is asked", async () => {
    await put("k", alice.id);
    const call = { key: "k", headers: { "x-amz-acl": "public-read" } };
    expect(await code(putObjectAcl, { ...call, meanwhile: () => put("k", bob.id) })).toBe("403 AccessDenied");
    expect(await text(getObjectAcl, { key: "k", caller: as(bob) })).not.toContain("AllUsers");
    await put("k", alice.id);
    expect(await code(putObjectAcl, { ...call, meanwhile: () => put("k", alice.id) })).toBe("200");
    expect(await text(getObjectAcl, { key: "k" })).toContain("AllUsers");
    const body = (await text(getObjectAcl, { key: "k" })).replace("<Permission>READ<", "<Permission>READ_ACP<");
    expect(await code(putObjectAcl, { key: "k", body, meanwhile: () => put("k", alice.id) })).toBe("200");
    expect(await text(getObjectAcl, { key: "k" })).toContain("READ_ACP");
  });

  it("of a version: that version's alone, by the action for versions", async () => {
    await engine.changeBucket(base, name, { versioning: "enabled" });
    await put("k", alice.id);
    const { versionId } = await engine.head(base, { bucket: name, key: "k" });
    await put("k", alice.id);
    const query = `versionId=${encodeURIComponent(versionId)}`;
    await run(putObjectAcl, { key: "k", query, headers: { "x-amz-acl": "public-read" } });
    expect(await text(getObjectAcl, { key: "k", query })).toContain("AllUsers");
    expect(await text(getObjectAcl, { key: "k" })).not.toContain("AllUsers");
    await run(putBucketPolicy, { body: policyFor({ Action: "s3:GetObjectAcl" }) });
    expect(await code(getObjectAcl, { key: "k", caller: anonymous })).toBe("200");
    expect(await code(getObjectAcl, { key: "k", query, caller: anonymous })).toBe("403 AccessDenied");
    expect(await code(getObjectAcl, { key: "k", query: "versionId=" })).toBe("400 InvalidArgument");
  });
});

const ownership = (value: string) =>
  `<OwnershipControls><Rule><ObjectOwnership>${value}</ObjectOwnership></Rule></OwnershipControls>`;

describe("ownership controls", () => {
  it("are put, read and deleted", async () => {
    expect(await code(getBucketOwnershipControls)).toBe("404 OwnershipControlsNotFoundError");
    expect(await code(putBucketOwnershipControls, { body: ownership("BucketOwnerPreferred") })).toBe("200");
    expect(await text(getBucketOwnershipControls)).toContain("<ObjectOwnership>BucketOwnerPreferred</ObjectOwnership>");
    expect(await code(deleteBucketOwnershipControls)).toBe("204");
    expect(await code(deleteBucketOwnershipControls)).toBe("204");
    expect(await code(getBucketOwnershipControls)).toBe("404 OwnershipControlsNotFoundError");
    expect(await code(putBucketOwnershipControls, { body: "<x/>" })).toBe("400 MalformedXML");
    expect(await code(putBucketOwnershipControls, { body: ownership("ObjectWriter"), caller: as(bob) })).toBe(
      "403 AccessDenied",
    );
  });

  it("BucketOwnerEnforced: not while the bucket's ACL grants to others", async () => {
    await run(putBucketAcl, { headers: { "x-amz-acl": "public-read" } });
    const body = ownership("BucketOwnerEnforced");
    expect(await code(putBucketOwnershipControls, { body })).toBe("400 InvalidBucketAclWithObjectOwnership");
    await run(putBucketAcl, { headers: { "x-amz-acl": "private" } });
    expect(await code(putBucketOwnershipControls, { body })).toBe("200");
  });

  it("BucketOwnerEnforced: ACLs read as the bucket owner's, and cannot be set", async () => {
    await put("k", bob.id, JSON.stringify({ grants: [{ group: "AllUsers", permission: "READ" }] }));
    await run(putBucketOwnershipControls, { body: ownership("BucketOwnerEnforced") });
    for (const [get, set] of [
      [getBucketAcl, putBucketAcl],
      [getObjectAcl, putObjectAcl],
    ] as const) {
      const key = get === getObjectAcl ? { key: "k" } : {};
      const acl = await text(get, key);
      expect(acl).toContain(`<Owner><ID>${alice.id}</ID>`);
      expect(acl.match(/<Grant>/g)).toHaveLength(1);
      for (const canned of ["private", "public-read"]) {
        expect(await code(set, { ...key, headers: { "x-amz-acl": canned } })).toBe("400 AccessControlListNotSupported");
      }
      expect(await code(set, { ...key, body: acl })).toBe("200");
      expect(await code(set, { ...key, headers: { "x-amz-acl": "bucket-owner-full-control" } })).toBe("200");
    }
    await run(deleteBucketOwnershipControls);
    expect(await text(getObjectAcl, { key: "k", caller: as(bob) })).toContain("AllUsers");
  });
});

const block = (...names: string[]) =>
  `<PublicAccessBlockConfiguration>${names.map((one) => `<${one}>true</${one}>`).join("")}</PublicAccessBlockConfiguration>`;

describe("public access block", () => {
  it("is put, read and deleted", async () => {
    expect(await code(getPublicAccessBlock)).toBe("404 NoSuchPublicAccessBlockConfiguration");
    expect(await code(putPublicAccessBlock, { body: block("BlockPublicAcls") })).toBe("200");
    expect(await text(getPublicAccessBlock)).toContain(
      "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets>",
    );
    expect(await code(putPublicAccessBlock, { body: block(), caller: as(bob) })).toBe("403 AccessDenied");
    expect(await code(deletePublicAccessBlock)).toBe("204");
    expect(await code(deletePublicAccessBlock)).toBe("204");
    expect(await code(getPublicAccessBlock)).toBe("404 NoSuchPublicAccessBlockConfiguration");
  });

  it("BlockPublicAcls: public ACLs are refused, others taken", async () => {
    await put("k", alice.id);
    await run(putPublicAccessBlock, { body: block("BlockPublicAcls") });
    for (const [operation, key] of [
      [putBucketAcl, undefined],
      [putObjectAcl, "k"],
    ] as const) {
      const call = key === undefined ? {} : { key };
      for (const headers of [
        { "x-amz-acl": "public-read" },
        { "x-amz-acl": "authenticated-read" },
        { "x-amz-grant-read": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"' },
      ]) {
        expect(await code(operation, { ...call, headers })).toBe("403 AccessDenied");
      }
      expect(await code(operation, { ...call, headers: { "x-amz-grant-read": `id="${bob.id}"` } })).toBe("200");
    }
  });

  it("BlockPublicPolicy: public policies are refused, others taken", async () => {
    await run(putPublicAccessBlock, { body: block("BlockPublicPolicy") });
    expect(await code(putBucketPolicy, { body: policyFor() })).toBe("403 AccessDenied");
    expect(await code(putBucketPolicy, { body: policyFor({ Principal: { AWS: "bob" } }) })).toBe("204");
  });

  it("IgnorePublicAcls: ACLs are shown as they count", async () => {
    await run(putBucketAcl, { headers: { "x-amz-acl": "public-read" } });
    await run(putPublicAccessBlock, { body: block("IgnorePublicAcls") });
    expect(await text(getBucketAcl)).not.toContain("AllUsers");
    await run(deletePublicAccessBlock);
    expect(await text(getBucketAcl)).toContain("AllUsers");
  });

  it("a block that came while a public policy was on its way: the policy is refused", async () => {
    const seen = await engine.bucket(base, name);
    await run(putPublicAccessBlock, { body: block("BlockPublicPolicy", "BlockPublicAcls") });
    expect(await code(putBucketPolicy, { body: policyFor(), seen })).toBe("403 AccessDenied");
    expect(await code(putBucketAcl, { headers: { "x-amz-acl": "public-read" }, seen })).toBe("403 AccessDenied");
    expect(await code(putBucketPolicy, { body: policyFor({ Principal: { AWS: "bob" } }), seen })).toBe("204");
  });
});
