import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as s3 from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { plainRequest, type S3Server, startS3 } from "./harness.js";
import { sdkClient } from "./sdk-clients.js";

let server: S3Server;
let root: s3.S3Client;
let alice: s3.S3Client;
let bob: s3.S3Client;
const clients: s3.S3Client[] = [];

/** A new user by the command line; `policy` is a canned one's name or a document. */
function user(name: string, policy?: unknown): s3.S3Client {
  const file = join(server.dir, `${name}.json`);
  if (typeof policy === "object") writeFileSync(file, JSON.stringify(policy));
  const attached = policy === undefined ? [] : ["--policy", typeof policy === "string" ? policy : file];
  const made = server.granary("user", "create", name, "--id", `${name}-id`, ...attached, "-o", "json");
  if (made.code !== 0) throw new Error(made.stderr);
  const client = sdkClient(server, JSON.parse(made.stdout) as { accessKey: string; secretKey: string });
  clients.push(client);
  return client;
}

beforeAll(async () => {
  server = await startS3();
  root = sdkClient(server);
  clients.push(root);
  alice = user("alice");
  bob = user("bob");
});

afterAll(async () => {
  for (const client of clients) client.destroy();
  await server?.remove();
});

/** A bucket of alice's with the keys a/1 and b/1, new for each test. */
let Bucket = "";

beforeEach(async () => {
  Bucket = `b${randomBytes(8).toString("hex")}`;
  await alice.send(new s3.CreateBucketCommand({ Bucket }));
  for (const Key of ["a/1", "b/1"]) await alice.send(new s3.PutObjectCommand({ Bucket, Key, Body: Key }));
});

/** "ok", or the error's name; HEAD's have no more than the status. */
async function outcome(sent: Promise<unknown>): Promise<string> {
  try {
    await sent;
    return "ok";
  } catch (error) {
    const { name, $metadata } = error as s3.S3ServiceException;
    return name === "Unknown" || name === "403" ? String($metadata.httpStatusCode) : name;
  }
}

async function setPolicy(...statements: Record<string, unknown>[]): Promise<void> {
  const Statement = statements.map((one) => ({
    ...{ Effect: "Allow", Principal: { AWS: "bob" }, Resource: `arn:aws:s3:::${Bucket}/*` },
    ...one,
  }));
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await root.send(new s3.PutBucketPolicyCommand({ Bucket, Policy }));
}

const read = (client: s3.S3Client, Key: string, more: Partial<s3.GetObjectCommandInput> = {}) =>
  outcome(
    client.send(new s3.GetObjectCommand({ Bucket, Key, ...more })).then(({ Body }) => Body?.transformToByteArray()),
  );
const write = (client: s3.S3Client, Key: string, more: Partial<s3.PutObjectCommandInput> = {}) =>
  outcome(client.send(new s3.PutObjectCommand({ Bucket, Key, Body: "x", ...more })));
const unsigned = async (target: string, options: Parameters<typeof plainRequest>[2] = {}) =>
  (await plainRequest(server, `/${Bucket}${target}`, options)).status;

describe("a bucket of another's", () => {
  it("every request for it: refused, and nothing of it changes", async () => {
    const Key = "a/1";
    const CopySource = `${Bucket}/a/1`;
    const Tagging = { TagSet: [] };
    const commands = {
      list: new s3.ListObjectsCommand({ Bucket }),
      listV2: new s3.ListObjectsV2Command({ Bucket }),
      versions: new s3.ListObjectVersionsCommand({ Bucket }),
      uploads: new s3.ListMultipartUploadsCommand({ Bucket }),
      get: new s3.GetObjectCommand({ Bucket, Key }),
      attributes: new s3.GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes: ["ETag"] }),
      acl: new s3.GetObjectAclCommand({ Bucket, Key }),
      tags: new s3.GetObjectTaggingCommand({ Bucket, Key }),
      put: new s3.PutObjectCommand({ Bucket, Key, Body: "y" }),
      putAcl: new s3.PutObjectAclCommand({ Bucket, Key, ACL: "public-read" }),
      putTags: new s3.PutObjectTaggingCommand({ Bucket, Key, Tagging }),
      deleteTags: new s3.DeleteObjectTaggingCommand({ Bucket, Key }),
      delete: new s3.DeleteObjectCommand({ Bucket, Key }),
      copy: new s3.CopyObjectCommand({ Bucket, Key: "c", CopySource }),
      upload: new s3.CreateMultipartUploadCommand({ Bucket, Key }),
      bucketAcl: new s3.GetBucketAclCommand({ Bucket }),
      putBucketAcl: new s3.PutBucketAclCommand({ Bucket, ACL: "public-read" }),
      policy: new s3.GetBucketPolicyCommand({ Bucket }),
      putPolicy: new s3.PutBucketPolicyCommand({ Bucket, Policy: "{}" }),
      deletePolicy: new s3.DeleteBucketPolicyCommand({ Bucket }),
      status: new s3.GetBucketPolicyStatusCommand({ Bucket }),
      ownership: new s3.GetBucketOwnershipControlsCommand({ Bucket }),
      deleteOwnership: new s3.DeleteBucketOwnershipControlsCommand({ Bucket }),
      block: new s3.GetPublicAccessBlockCommand({ Bucket }),
      deleteBlock: new s3.DeletePublicAccessBlockCommand({ Bucket }),
      versioning: new s3.GetBucketVersioningCommand({ Bucket }),
      putVersioning: new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }),
      cors: new s3.GetBucketCorsCommand({ Bucket }),
      lifecycle: new s3.GetBucketLifecycleConfigurationCommand({ Bucket }),
      deleteLifecycle: new s3.DeleteBucketLifecycleCommand({ Bucket }),
      bucketTags: new s3.GetBucketTaggingCommand({ Bucket }),
      location: new s3.GetBucketLocationCommand({ Bucket }),
      deleteBucket: new s3.DeleteBucketCommand({ Bucket }),
    };
    const outcomes: Record<string, string> = {};
    for (const [name, command] of Object.entries(commands)) outcomes[name] = await outcome(bob.send(command as never));
    expect(outcomes).toEqual(Object.fromEntries(Object.keys(commands).map((name) => [name, "AccessDenied"])));
    expect(await outcome(bob.send(new s3.HeadBucketCommand({ Bucket })))).toBe("403");
    expect(await outcome(bob.send(new s3.HeadObjectCommand({ Bucket, Key })))).toBe("403");
    expect(await outcome(bob.send(new s3.CreateBucketCommand({ Bucket })))).toBe("BucketAlreadyExists");
    for (const target of ["", "/a/1", "?acl", "?policy", "/a/1?acl", "?uploads", "?versions", "/a/1?tagging"]) {
      expect(await unsigned(target), target).toBe(403);
      if (target !== "?versions" && target !== "")
        expect(await unsigned(target, { method: "DELETE" }), target).not.toBe(204);
    }
    expect(await read(alice, Key)).toBe("ok");
    const { Contents } = await alice.send(new s3.ListObjectsV2Command({ Bucket }));
    expect(Contents?.map((one) => one.Key)).toEqual(["a/1", "b/1"]);
  }, 60_000);

  it("ListBuckets: only one's own", async () => {
    const { Buckets = [] } = await bob.send(new s3.ListBucketsCommand({}));
    expect(Buckets.map(({ Name }) => Name)).not.toContain(Bucket);
    const all = await root.send(new s3.ListBucketsCommand({}));
    expect(all.Buckets?.map(({ Name }) => Name)).toContain(Bucket);
  });

  it("the owner that a request expects: another one is AccessDenied", async () => {
    expect(await read(alice, "a/1", { ExpectedBucketOwner: "alice-id" })).toBe("ok");
    expect(await read(alice, "a/1", { ExpectedBucketOwner: "012345678912" })).toBe("AccessDenied");
    expect(await read(root, "a/1", { ExpectedBucketOwner: "bob-id" })).toBe("AccessDenied");
    const copy = (ExpectedSourceBucketOwner: string) =>
      outcome(
        alice.send(
          new s3.CopyObjectCommand({ Bucket, Key: "c", CopySource: `${Bucket}/a/1`, ExpectedSourceBucketOwner }),
        ),
      );
    expect(await copy("alice-id")).toBe("ok");
    expect(await copy("bob-id")).toBe("AccessDenied");
  });
});

describe("holes of other servers", () => {
  it("the source of a copy is authorized, and its version by the action for versions", async () => {
    const mine = `${Bucket}-bob`;
    await bob.send(new s3.CreateBucketCommand({ Bucket: mine }));
    await alice.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
    const { VersionId } = await alice.send(new s3.PutObjectCommand({ Bucket, Key: "a/1", Body: "2" }));
    const copy = (source: string) =>
      outcome(bob.send(new s3.CopyObjectCommand({ Bucket: mine, Key: "k", CopySource: source })));
    const { UploadId } = await bob.send(new s3.CreateMultipartUploadCommand({ Bucket: mine, Key: "k" }));
    const copyPart = (CopySource: string) =>
      outcome(bob.send(new s3.UploadPartCopyCommand({ Bucket: mine, Key: "k", UploadId, PartNumber: 1, CopySource })));
    const versioned = `${Bucket}/a/1?versionId=${VersionId}`;
    for (const source of [`${Bucket}/a/1`, versioned, `${Bucket}/none`, `/${Bucket}/a%2F1`]) {
      expect(await copy(source), source).toBe("AccessDenied");
      expect(await copyPart(source), source).toBe("AccessDenied");
    }
    await setPolicy({ Action: "s3:GetObject" });
    expect(await copy(`${Bucket}/a/1`)).toBe("ok");
    expect(await copyPart(`${Bucket}/a/1`)).toBe("ok");
    expect(await copy(versioned)).toBe("AccessDenied");
    expect(await copyPart(versioned)).toBe("AccessDenied");
    await setPolicy({ Action: "s3:GetObjectVersion" });
    expect(await copy(versioned)).toBe("ok");
    expect(await copy(`${Bucket}/a/1`)).toBe("AccessDenied");
  });

  it("GetObject does not do where GetObjectVersion is due, nor DeleteObject for versions", async () => {
    await alice.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
    const { VersionId } = await alice.send(new s3.PutObjectCommand({ Bucket, Key: "a/1", Body: "2" }));
    await setPolicy({ Action: ["s3:GetObject", "s3:DeleteObject", "s3:GetObjectTagging"] });
    expect(await read(bob, "a/1")).toBe("ok");
    expect(await read(bob, "a/1", { VersionId })).toBe("AccessDenied");
    expect(await read(bob, "a/1", { VersionId: "null" })).toBe("AccessDenied");
    expect(await outcome(bob.send(new s3.HeadObjectCommand({ Bucket, Key: "a/1", VersionId })))).toBe("403");
    const tags = (more: { VersionId?: string | undefined }) =>
      outcome(bob.send(new s3.GetObjectTaggingCommand({ Bucket, Key: "a/1", ...more })));
    expect(await tags({})).toBe("ok");
    expect(await tags({ VersionId })).toBe("AccessDenied");
    const remove = (more: { VersionId?: string | undefined }) =>
      outcome(bob.send(new s3.DeleteObjectCommand({ Bucket, Key: "a/1", ...more })));
    expect(await remove({ VersionId })).toBe("AccessDenied");
    expect(await remove({})).toBe("ok");
    expect(await read(alice, "a/1", { VersionId })).toBe("ok");
  });

  it("a bulk delete is authorized key by key", async () => {
    await setPolicy({ Action: "s3:DeleteObject", Resource: `arn:aws:s3:::${Bucket}/b/*` });
    const Objects = [{ Key: "a/1" }, { Key: "b/1" }, { Key: "b/../a/1" }];
    const answer = await bob.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(answer.Deleted?.map(({ Key }) => Key)).toEqual(["b/1", "b/../a/1"]);
    expect(answer.Errors?.map(({ Key, Code }) => [Key, Code])).toEqual([["a/1", "AccessDenied"]]);
    expect(await read(alice, "a/1")).toBe("ok");
  });

  it("headers for an ACL, tags and a lock take permissions of their own, on every kind of write", async () => {
    await setPolicy({ Action: "s3:PutObject" });
    const CopySource = `${Bucket}-bob/k`;
    await bob.send(new s3.CreateBucketCommand({ Bucket: `${Bucket}-bob` }));
    await bob.send(new s3.PutObjectCommand({ Bucket: `${Bucket}-bob`, Key: "k", Body: "x" }));
    const until = new Date(Date.now() + 3_600_000);
    const asked: Record<string, Partial<s3.PutObjectCommandInput>> = {
      canned: { ACL: "public-read" },
      granted: { GrantRead: 'id="bob-id"' },
      tags: { Tagging: "a=b" },
      retention: { ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: until },
      hold: { ObjectLockLegalHoldStatus: "ON" },
    };
    for (const [name, more] of Object.entries(asked)) {
      const { Tagging, ...rest } = more;
      const copied = Tagging === undefined ? rest : { Tagging, TaggingDirective: "REPLACE" as const };
      expect(await write(bob, "c", more), name).toBe("AccessDenied");
      expect(
        await outcome(
          bob.send(
            new s3.CreateMultipartUploadCommand({ Bucket, Key: "c", ...more } as s3.CreateMultipartUploadCommandInput),
          ),
        ),
        name,
      ).toBe("AccessDenied");
      expect(
        await outcome(
          bob.send(new s3.CopyObjectCommand({ Bucket, Key: "c", CopySource, ...copied } as s3.CopyObjectCommandInput)),
        ),
        name,
      ).toBe("AccessDenied");
    }
    expect(await write(bob, "c", { ACL: "private" })).toBe("ok");
    await setPolicy({ Action: ["s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging"] });
    expect(await write(bob, "c", { ACL: "public-read", Tagging: "a=b" })).toBe("ok");
    expect(await unsigned("/c")).toBe(200);
  });

  it("an ACL in a presigned query takes its permission too", async () => {
    await setPolicy({ Action: "s3:PutObject" });
    const url = await getSignedUrl(bob, new s3.PutObjectCommand({ Bucket, Key: "c", ACL: "public-read" }));
    const { status } = await plainRequest(server, url.slice(server.endpoint.length), { method: "PUT", body: "x" });
    expect(status).toBe(403);
    const plain = await getSignedUrl(bob, new s3.PutObjectCommand({ Bucket, Key: "c" }));
    const target = plain.slice(server.endpoint.length);
    expect((await plainRequest(server, target, { method: "PUT", body: "x" })).status).toBe(200);
    expect((await plainRequest(server, `${target}&x-amz-acl=public-read`, { method: "PUT", body: "x" })).status).toBe(
      403,
    );
  });

  it("what is not there is told to who may list alone, and a wrong document tells nobody", async () => {
    expect(await read(alice, "none")).toBe("NoSuchKey");
    expect(await read(bob, "none")).toBe("AccessDenied");
    await setPolicy({ Principal: "*", Action: "s3:GetObject" });
    expect(await unsigned("/a/1")).toBe(200);
    expect(await unsigned("/none")).toBe(403);
    await setPolicy({ Principal: "*", Action: "s3:ListBucket", Resource: `arn:aws:s3:::${Bucket}` });
    expect(await unsigned("/none")).toBe(404);
    expect(await unsigned("/a/1")).toBe(403);
    await root.send(new s3.DeleteBucketPolicyCommand({ Bucket }));
    for (const query of ["tagging", "retention", "legal-hold", "acl"]) {
      const put = (key: string) => unsigned(`/${key}?${query}`, { method: "PUT", body: "<wrong" });
      expect(await put("a/1"), query).toBe(await put("none"));
    }
  });

  it("the source address is the connection's, not a header's", async () => {
    const from = (network: string) =>
      setPolicy({ Principal: "*", Action: "s3:GetObject", Condition: { IpAddress: { "aws:SourceIp": network } } });
    const headers = { "x-forwarded-for": "203.0.113.7", "x-real-ip": "203.0.113.7", forwarded: "for=203.0.113.7" };
    await from("203.0.113.0/24");
    expect(await unsigned("/a/1", { headers })).toBe(403);
    await from("127.0.0.0/8");
    expect(await unsigned("/a/1", { headers })).toBe(200);
  });

  it("an explicit deny beats what owners have; root mends it", async () => {
    await setPolicy({
      Effect: "Deny",
      Principal: "*",
      Action: "s3:*",
      Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
    });
    expect(await read(alice, "a/1")).toBe("AccessDenied");
    expect(await read(root, "a/1")).toBe("AccessDenied");
    expect(await outcome(alice.send(new s3.DeleteBucketPolicyCommand({ Bucket })))).toBe("AccessDenied");
    await root.send(new s3.DeleteBucketPolicyCommand({ Bucket }));
    expect(await read(alice, "a/1")).toBe("ok");
  });

  it("who gets a deleted user's name gets none of its rights", async () => {
    user("dave");
    await setPolicy({ Principal: { AWS: "dave" }, Action: "s3:GetObject" });
    expect(server.granary("user", "delete", "dave").code).toBe(0);
    const made = server.granary("user", "create", "dave", "-o", "json");
    const again = sdkClient(server, JSON.parse(made.stdout) as { accessKey: string; secretKey: string });
    clients.push(again);
    expect(await read(again, "a/1")).toBe("AccessDenied");
  });

  it("headers beside a form pass for none of its fields", async () => {
    await setPolicy({
      Principal: "*",
      Action: ["s3:PutObject", "s3:PutObjectAcl"],
      Condition: { StringEquals: { "s3:x-amz-acl": "bucket-owner-full-control" } },
    });
    const post = (fields: Record<string, string>, headers: Record<string, string> = {}) => {
      const parts = Object.entries({ ...fields, file: "x" });
      const body = parts.map(
        ([name, value]) => `--B\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
      );
      const type = "multipart/form-data; boundary=B";
      return unsigned("", {
        method: "POST",
        headers: { "content-type": type, ...headers },
        body: `${body.join("")}--B--\r\n`,
      });
    };
    const acl = "bucket-owner-full-control";
    expect(await post({ key: "c" })).toBe(403);
    expect(await post({ key: "c" }, { "x-amz-acl": acl })).toBe(403);
    expect(await post({ key: "c", acl: "public-read" }, { "x-amz-acl": acl })).toBe(403);
    expect(await post({ key: "c", acl })).toBe(204);
  });
});

describe("ACLs and ownership", () => {
  const grantee = (permission: string) => ({
    [`Grant${permission}`]: 'id="bob-id"',
    GrantFullControl: 'id="alice-id"',
  });

  it("a writer by ACL owns what it writes, until the bucket's owner owns all", async () => {
    await alice.send(new s3.PutBucketAclCommand({ Bucket, ...grantee("Write") }));
    expect(await write(bob, "c")).toBe("ok");
    expect(await read(bob, "c")).toBe("ok");
    expect(await read(alice, "c")).toBe("AccessDenied");
    expect(await read(bob, "a/1")).toBe("AccessDenied");
    expect(await outcome(bob.send(new s3.DeleteObjectCommand({ Bucket, Key: "a/1" })))).toBe("AccessDenied");
    expect(await outcome(bob.send(new s3.DeleteObjectCommand({ Bucket, Key: "c" })))).toBe("ok");
    expect(await write(bob, "c")).toBe("ok");
    await alice.send(new s3.PutBucketAclCommand({ Bucket, ACL: "private" }));
    const Rules = [{ ObjectOwnership: "BucketOwnerEnforced" as const }];
    await alice.send(new s3.PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls: { Rules } }));
    expect(await read(alice, "c")).toBe("ok");
    expect(await read(bob, "c")).toBe("AccessDenied");
    expect(await write(alice, "c", { ACL: "public-read" })).toBe("AccessControlListNotSupported");
  });

  it("a public bucket lists for everybody, and its objects stay closed", async () => {
    await alice.send(new s3.PutBucketAclCommand({ Bucket, ACL: "public-read" }));
    expect(await unsigned("")).toBe(200);
    expect(await unsigned("/a/1")).toBe(403);
    await alice.send(new s3.PutObjectAclCommand({ Bucket, Key: "a/1", ACL: "public-read" }));
    expect(await unsigned("/a/1")).toBe(200);
    const PublicAccessBlockConfiguration = { IgnorePublicAcls: true };
    await alice.send(new s3.PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }));
    expect(await unsigned("")).toBe(403);
    expect(await unsigned("/a/1")).toBe(403);
  });

  it("an overwrite does not keep the ACL of what was there", async () => {
    expect(await write(alice, "a/1", { ACL: "public-read" })).toBe("ok");
    expect(await unsigned("/a/1")).toBe(200);
    expect(await write(alice, "a/1")).toBe("ok");
    expect(await unsigned("/a/1")).toBe(403);
  });
});

describe("users with policies", () => {
  it("readonly: reads and lists every bucket, changes none and makes none", async () => {
    const reader = user("reader", "readonly");
    expect(await read(reader, "a/1")).toBe("ok");
    const { Buckets } = await reader.send(new s3.ListBucketsCommand({}));
    expect(Buckets?.map(({ Name }) => Name)).toContain(Bucket);
    expect(await write(reader, "a/1")).toBe("AccessDenied");
    expect(await outcome(reader.send(new s3.CreateBucketCommand({ Bucket: `${Bucket}-2` })))).toBe("AccessDenied");
  });

  it("each user its own folder, by a policy variable", async () => {
    const prefix = `\${aws:username}/`;
    const carol = user("carol", {
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Action: ["s3:GetObject", "s3:PutObject"], Resource: `arn:aws:s3:::*/${prefix}*` },
        {
          Effect: "Allow",
          Action: "s3:ListBucket",
          Resource: "arn:aws:s3:::*",
          Condition: { StringLike: { "s3:prefix": `${prefix}*` } },
        },
      ],
    });
    expect(await write(carol, "carol/x")).toBe("ok");
    expect(await write(carol, "dave/x")).toBe("AccessDenied");
    const list = (Prefix?: string) => outcome(carol.send(new s3.ListObjectsV2Command({ Bucket, Prefix })));
    expect(await list("carol/")).toBe("ok");
    expect(await list("a/")).toBe("AccessDenied");
    expect(await list()).toBe("AccessDenied");
    expect(await outcome(carol.send(new s3.ListBucketsCommand({})))).toBe("AccessDenied");
  });
});
