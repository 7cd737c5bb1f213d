import * as s3 from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "./harness.js";
import { type KeyPair, sdkClient } from "./sdk-clients.js";
import { signedRequest } from "./signed-request.js";

let server: S3Server;
let root: s3.S3Client;
let alice: KeyPair;

function makeUser(name: string, ...flags: string[]): KeyPair {
  const pair = { accessKey: `${name.toUpperCase()}ACCESSKEY`, secretKey: `${name}-secret-key-of-tests` };
  const keys = ["--access-key", pair.accessKey, "--secret-key", pair.secretKey];
  const made = server.granary("user", "create", name, ...keys, ...flags);
  expect(made.stderr + made.stdout, `user create ${name}`).not.toMatch(/error/i);
  return pair;
}

beforeAll(async () => {
  server = await startS3();
  root = sdkClient(server);
  alice = makeUser("alice", "--display-name", "Alice A.");
});

afterAll(async () => {
  root?.destroy();
  await server?.remove();
});

const create = (Bucket: string, more: Partial<s3.CreateBucketCommandInput> = {}, sdk = root) =>
  sdk.send(new s3.CreateBucketCommand({ Bucket, ...more }));
const list = (more: Partial<s3.ListBucketsCommandInput> = {}, sdk = root) => sdk.send(new s3.ListBucketsCommand(more));
const names = (page: s3.ListBucketsCommandOutput) => (page.Buckets ?? []).map(({ Name }) => Name);

describe("CreateBucket", () => {
  it("a new name: there, with its location, in its region", async () => {
    expect((await create("first-bucket")).Location).toBe("/first-bucket");
    const head = await root.send(new s3.HeadBucketCommand({ Bucket: "first-bucket" }));
    expect([head.BucketRegion, head.AccessPointAlias]).toEqual(["us-east-1", false]);
    const location = await root.send(new s3.GetBucketLocationCommand({ Bucket: "first-bucket" }));
    expect(location.LocationConstraint ?? "").toBe("");
  });

  it.each(["ab", "192.168.5.4", "xn--bucket", "a..b", "bucket-s3alias", "-bucket", "Bucket"])(
    "%s: InvalidBucketName",
    async (name) => {
      expect(await signedRequest(server, { method: "PUT", path: `/${name}` })).toMatchObject({
        status: 400,
        code: "InvalidBucketName",
      });
    },
  );

  it("one's own again, in us-east-1: 200, and it stays as it is", async () => {
    await create("again");
    await root.send(new s3.PutObjectCommand({ Bucket: "again", Key: "k", Body: "v" }));
    await create("again");
    await root.send(new s3.HeadObjectCommand({ Bucket: "again", Key: "k" }));
  });

  it("one's own again, with what it would not get: BucketAlreadyOwnedByYou", async () => {
    await create("again-locked");
    await expect(create("again-locked", { ObjectLockEnabledForBucket: true })).rejects.toMatchObject({
      name: "BucketAlreadyOwnedByYou",
      $metadata: { httpStatusCode: 409 },
    });
    await expect(create("again-locked", { ACL: "public-read" })).rejects.toMatchObject({
      name: "BucketAlreadyOwnedByYou",
    });
  });

  it("another's: BucketAlreadyExists", async () => {
    await create("of-root");
    await expect(create("of-root", {}, sdkClient(server, alice))).rejects.toMatchObject({
      name: "BucketAlreadyExists",
      $metadata: { httpStatusCode: 409 },
    });
  });

  it("another region's location: refused", async () => {
    const at = (LocationConstraint: string) =>
      create("elsewhere", { CreateBucketConfiguration: { LocationConstraint } as s3.CreateBucketConfiguration });
    await expect(at("eu-central-1")).rejects.toMatchObject({ name: "IllegalLocationConstraintException" });
    await expect(at("us-east-1")).rejects.toMatchObject({ name: "InvalidLocationConstraint" });
  });

  it("object lock: versioning is on with it", async () => {
    await create("locked", { ObjectLockEnabledForBucket: true });
    const { Status } = await root.send(new s3.GetBucketVersioningCommand({ Bucket: "locked" }));
    const lock = await root.send(new s3.GetObjectLockConfigurationCommand({ Bucket: "locked" }));
    expect([Status, lock.ObjectLockConfiguration]).toEqual(["Enabled", { ObjectLockEnabled: "Enabled" }]);
  });

  it("an ownership, tags: the bucket has them", async () => {
    const CreateBucketConfiguration = { Tags: [{ Key: "team", Value: "a b" }] };
    await create("tagged-at-once", { ObjectOwnership: "BucketOwnerEnforced", CreateBucketConfiguration });
    const { TagSet } = await root.send(new s3.GetBucketTaggingCommand({ Bucket: "tagged-at-once" }));
    const owned = await root.send(new s3.GetBucketOwnershipControlsCommand({ Bucket: "tagged-at-once" }));
    expect(TagSet).toEqual([{ Key: "team", Value: "a b" }]);
    expect(owned.OwnershipControls?.Rules).toEqual([{ ObjectOwnership: "BucketOwnerEnforced" }]);
  });

  it.each([
    ["x-amz-bucket-object-lock-enabled", "maybe", "InvalidArgument"],
    ["x-amz-object-ownership", "Mine", "InvalidArgument"],
    ["x-amz-bucket-namespace", "account-regional", "NotImplemented"],
  ])("%s: %s: %s", async (name, value, code) => {
    const answer = await signedRequest(server, { method: "PUT", path: "/header-bucket", headers: { [name]: value } });
    expect(answer.code).toBe(code);
    expect((await signedRequest(server, { method: "HEAD", path: "/header-bucket" })).status).toBe(404);
  });

  it("of 16 at once by one owner: all answer, one bucket is there", async () => {
    const all = await Promise.allSettled(Array.from({ length: 16 }, () => create("raced")));
    expect(all.every(({ status }) => status === "fulfilled")).toBe(true);
    expect(names(await list({ Prefix: "raced" }))).toEqual(["raced"]);
  });
});

describe("DeleteBucket", () => {
  const remove = (Bucket: string) => root.send(new s3.DeleteBucketCommand({ Bucket }));

  it("an empty one: 204, and it is gone", async () => {
    await create("gone");
    expect((await remove("gone")).$metadata.httpStatusCode).toBe(204);
    await expect(remove("gone")).rejects.toMatchObject({ name: "NoSuchBucket" });
  });

  it("one with an object, or with a delete marker: BucketNotEmpty", async () => {
    await create("full");
    await root.send(new s3.PutObjectCommand({ Bucket: "full", Key: "k", Body: "" }));
    await expect(remove("full")).rejects.toMatchObject({ name: "BucketNotEmpty", $metadata: { httpStatusCode: 409 } });
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await create("marked");
    await root.send(new s3.PutBucketVersioningCommand({ Bucket: "marked", VersioningConfiguration }));
    await root.send(new s3.DeleteObjectCommand({ Bucket: "marked", Key: "k" }));
    await expect(remove("marked")).rejects.toMatchObject({ name: "BucketNotEmpty" });
  });

  it("one with nothing but unfinished uploads: gone, and they with it", async () => {
    await create("uploading");
    for (const Key of ["a", "b"]) await root.send(new s3.CreateMultipartUploadCommand({ Bucket: "uploading", Key }));
    await remove("uploading");
    await expect(root.send(new s3.HeadBucketCommand({ Bucket: "uploading" }))).rejects.toMatchObject({
      name: "NotFound",
    });
  });

  it("one with an object and an unfinished upload: BucketNotEmpty, and the upload goes on", async () => {
    await create("both");
    await root.send(new s3.PutObjectCommand({ Bucket: "both", Key: "k", Body: "" }));
    await root.send(new s3.CreateMultipartUploadCommand({ Bucket: "both", Key: "u" }));
    await expect(remove("both")).rejects.toMatchObject({ name: "BucketNotEmpty" });
    const { Uploads } = await root.send(new s3.ListMultipartUploadsCommand({ Bucket: "both" }));
    expect(Uploads).toHaveLength(1);
  });
});

describe("ListBuckets", () => {
  beforeAll(async () => {
    for (const name of ["page-a", "page-b", "page-c", "page-d", "page-e"]) await create(name);
    await create("alice-own", {}, sdkClient(server, alice));
  });

  it("pages by two of a prefix: each once, in order of names", async () => {
    const seen: (string | undefined)[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await list({ Prefix: "page-", MaxBuckets: 2, ...(ContinuationToken ? { ContinuationToken } : {}) });
      expect(page.Prefix).toBe("page-");
      seen.push(...names(page));
      ContinuationToken = page.ContinuationToken;
    } while (ContinuationToken);
    expect(seen).toEqual(["page-a", "page-b", "page-c", "page-d", "page-e"]);
  });

  it("as many as the page holds: no token", async () => {
    expect((await list({ Prefix: "page-", MaxBuckets: 5 })).ContinuationToken).toBeUndefined();
  });

  it("a region: the buckets in it", async () => {
    expect(names(await list({ Prefix: "page-", BucketRegion: "us-east-1" }))).toHaveLength(5);
    expect(names(await list({ Prefix: "page-", BucketRegion: "eu-west-1" }))).toEqual([]);
  });

  it("each with its date and region, and whose list it is", async () => {
    const page = await list({ Prefix: "page-a" });
    expect(page.Buckets?.[0]?.BucketRegion).toBe("us-east-1");
    expect(Math.abs(Date.now() - (page.Buckets?.[0]?.CreationDate?.getTime() ?? 0))).toBeLessThan(600_000);
    expect(page.Owner?.ID).toBeTruthy();
  });

  it("a user without policies: its own alone", async () => {
    const page = await list({}, sdkClient(server, alice));
    expect(names(page)).toEqual(["alice-own"]);
    expect(page.Owner?.DisplayName).toBe("Alice A.");
  });

  it("root: everyone's", async () => {
    expect(names(await list({ Prefix: "alice-" }))).toEqual(["alice-own"]);
  });

  it.each([
    ["max-buckets", "0"],
    ["max-buckets", "10001"],
    ["max-buckets", "-1"],
    ["max-buckets", "x"],
    ["continuation-token", ""],
    ["continuation-token", "page-a"],
    ["continuation-token", "!"],
  ])("%s=%s: InvalidArgument", async (name, value) => {
    const answer = await signedRequest(server, { method: "GET", path: "/", query: { [name]: value } });
    expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
  });

  it("unsigned: AccessDenied", async () => {
    const answer = await fetch(server.endpoint);
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain("<Code>AccessDenied</Code>");
  });
});

describe("a bucket of another user", () => {
  it.each<[string, (sdk: s3.S3Client) => Promise<unknown>]>([
    ["HeadBucket", (sdk) => sdk.send(new s3.HeadBucketCommand({ Bucket: "first-bucket" }))],
    ["DeleteBucket", (sdk) => sdk.send(new s3.DeleteBucketCommand({ Bucket: "first-bucket" }))],
    ["GetBucketLocation", (sdk) => sdk.send(new s3.GetBucketLocationCommand({ Bucket: "first-bucket" }))],
    ["GetBucketVersioning", (sdk) => sdk.send(new s3.GetBucketVersioningCommand({ Bucket: "first-bucket" }))],
    ["GetBucketCors", (sdk) => sdk.send(new s3.GetBucketCorsCommand({ Bucket: "first-bucket" }))],
    ["DeleteBucketCors", (sdk) => sdk.send(new s3.DeleteBucketCorsCommand({ Bucket: "first-bucket" }))],
    ["GetBucketTagging", (sdk) => sdk.send(new s3.GetBucketTaggingCommand({ Bucket: "first-bucket" }))],
    ["DeleteBucketTagging", (sdk) => sdk.send(new s3.DeleteBucketTaggingCommand({ Bucket: "first-bucket" }))],
    ["DeleteBucketLifecycle", (sdk) => sdk.send(new s3.DeleteBucketLifecycleCommand({ Bucket: "first-bucket" }))],
    [
      "PutBucketVersioning",
      (sdk) =>
        sdk.send(
          new s3.PutBucketVersioningCommand({ Bucket: "first-bucket", VersioningConfiguration: { Status: "Enabled" } }),
        ),
    ],
  ])("%s: 403", async (_, run) => {
    await expect(run(sdkClient(server, alice))).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  });
});
