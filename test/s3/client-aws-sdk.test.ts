import { createReadStream, createWriteStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import * as s3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openUrl, PROTOCOLS, plainRequest, type S3Server, startS3 } from "./harness.js";
import { makeLargeFile, makeOddTree, sha256File, treeOf, writeTreeFile } from "./odd-tree.js";
import { scratch } from "./run-client.js";
import { sdkClient } from "./sdk-clients.js";

describe.each(PROTOCOLS)("AWS SDK for JavaScript over $protocol", ({ https }) => {
  let server: S3Server;
  let sdk: s3.S3Client;
  beforeAll(async () => {
    server = await startS3({ https });
    sdk = sdkClient(server);
  });
  afterAll(async () => {
    sdk?.destroy();
    await server?.remove();
  });

  const makeBucket = (Bucket: string, more: Partial<s3.CreateBucketCommandInput> = {}) =>
    sdk.send(new s3.CreateBucketCommand({ Bucket, ...more }));
  const put = (Bucket: string, Key: string, Body: string | Buffer, more: Partial<s3.PutObjectCommandInput> = {}) =>
    sdk.send(new s3.PutObjectCommand({ Bucket, Key, Body, ...more }));
  const get = async (Bucket: string, Key: string, more: Partial<s3.GetObjectCommandInput> = {}) => {
    const { Body } = await sdk.send(new s3.GetObjectCommand({ Bucket, Key, ...more }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  };

  it("a tree of odd names, there and back, in pages, and deleted by one request", async () => {
    const [from, to] = [scratch(server, "from"), scratch(server, "to")];
    makeOddTree(from);
    await makeBucket("tree");
    for (const name of Object.keys(treeOf(from))) await put("tree", name, readFileSync(join(from, name)));
    const keys: string[] = [];
    for await (const page of s3.paginateListObjectsV2({ client: sdk, pageSize: 7 }, { Bucket: "tree" }))
      keys.push(...(page.Contents ?? []).map(({ Key = "" }) => Key));
    for (const key of keys) writeTreeFile(to, key, await get("tree", key));
    expect(treeOf(to)).toEqual(treeOf(from));
    const Objects = keys.map((Key) => ({ Key }));
    const { Deleted } = await sdk.send(new s3.DeleteObjectsCommand({ Bucket: "tree", Delete: { Objects } }));
    expect(Deleted).toHaveLength(keys.length);
    await sdk.send(new s3.DeleteBucketCommand({ Bucket: "tree" }));
    await expect(sdk.send(new s3.HeadBucketCommand({ Bucket: "tree" }))).rejects.toMatchObject({ name: "NotFound" });
  }, 120_000);

  it("200 MiB in parts of 16 MiB by four at once, each with a checksum, and back", async () => {
    const dir = scratch(server);
    const sum = makeLargeFile(join(dir, "large"));
    await makeBucket("large");
    const params = { Bucket: "large", Key: "k", Body: createReadStream(join(dir, "large")) };
    const upload = new Upload({
      client: sdk,
      params: { ...params, ChecksumAlgorithm: "CRC32C" },
      partSize: 16 * 1024 ** 2,
    });
    const done = await upload.done();
    expect([done.ETag, done.ChecksumCRC32C]).toEqual([
      expect.stringMatching(/^"[0-9a-f]{32}-13"$/),
      expect.stringMatching(/^[A-Za-z0-9+/]{6}==-13$/),
    ]);
    const { Body } = await sdk.send(new s3.GetObjectCommand({ Bucket: "large", Key: "k" }));
    await pipeline(Body as Readable, createWriteStream(join(dir, "back")));
    expect(await sha256File(join(dir, "back"))).toBe(sum);
  }, 120_000);

  it.each(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const)(
    "%s: sent, verified, kept and told",
    async (ChecksumAlgorithm) => {
      const bucket = `checksum-${ChecksumAlgorithm.toLowerCase()}`;
      await makeBucket(bucket);
      const field = `Checksum${ChecksumAlgorithm}` as const;
      const { [field]: sent } = await put(bucket, "k", "some bytes", { ChecksumAlgorithm });
      expect(sent).toMatch(/=$/);
      const head = await sdk.send(new s3.HeadObjectCommand({ Bucket: bucket, Key: "k", ChecksumMode: "ENABLED" }));
      expect([head[field], head.ChecksumType]).toEqual([sent, "FULL_OBJECT"]);
      const wrong = put(bucket, "wrong", "other bytes", { [field]: sent });
      await expect(wrong).rejects.toMatchObject({
        name: expect.stringMatching(/BadDigest|XAmzContentChecksumMismatch/),
      });
      await expect(get(bucket, "wrong")).rejects.toMatchObject({ name: "NoSuchKey" });
    },
    120_000,
  );

  it("a stream of unknown length goes as a trailer-signed chunked body", async () => {
    await makeBucket("streams");
    const body = Readable.from([Buffer.alloc(100_000, "a"), Buffer.alloc(33_333, "b")]);
    await new Upload({ client: sdk, params: { Bucket: "streams", Key: "k", Body: body } }).done();
    expect(await get("streams", "k")).toEqual(Buffer.from("a".repeat(100_000) + "b".repeat(33_333)));
    await put("streams", "known", Buffer.alloc(200_000, "c"));
    expect((await get("streams", "known", { Range: "bytes=199990-" })).toString()).toBe("c".repeat(10));
  }, 120_000);

  it("metadata, headers and conditions", async () => {
    await makeBucket("metadata");
    const attributes = {
      ContentType: "text/x-test",
      CacheControl: "no-store",
      ContentDisposition: 'attachment; filename="ü.txt"',
      ContentLanguage: "de",
      Metadata: { colour: "red", "with-dash": "a  b" },
    };
    const { ETag } = await put("metadata", "k", "1", { ...attributes, ContentDisposition: "inline" });
    const head = await sdk.send(new s3.HeadObjectCommand({ Bucket: "metadata", Key: "k" }));
    expect(head).toMatchObject({ ...attributes, ContentDisposition: "inline", ETag, ContentLength: 1 });
    await expect(put("metadata", "k", "2", { IfNoneMatch: "*" })).rejects.toMatchObject({ name: "PreconditionFailed" });
    await put("metadata", "k", "2", { IfMatch: ETag });
    await expect(get("metadata", "k", { IfMatch: ETag })).rejects.toMatchObject({ name: "PreconditionFailed" });
    const races = await Promise.allSettled(
      Array.from({ length: 32 }, (_unused, i) => put("metadata", "raced", String(i), { IfNoneMatch: "*" })),
    );
    expect(races.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  }, 120_000);

  it("presigned GET and PUT, and a form with a policy", async () => {
    await makeBucket("presigned");
    const url = await getSignedUrl(sdk, new s3.PutObjectCommand({ Bucket: "presigned", Key: "a key+ü" }), {
      expiresIn: 60,
    });
    const { origin } = new URL(url);
    expect((await plainRequest(server, url.slice(origin.length), { method: "PUT", body: "by url" })).status).toBe(200);
    const read = await getSignedUrl(sdk, new s3.GetObjectCommand({ Bucket: "presigned", Key: "a key+ü" }), {
      expiresIn: 60,
    });
    expect((await openUrl(server, read)).body.toString()).toBe("by url");
    const late = await getSignedUrl(sdk, new s3.GetObjectCommand({ Bucket: "presigned", Key: "a key+ü" }), {
      expiresIn: 1,
      signingDate: new Date(Date.now() - 60_000),
    });
    expect((await openUrl(server, late)).status).toBe(403);
    const form = await createPresignedPost(sdk, {
      ...{ Bucket: "presigned", Key: "form/1", Expires: 60 },
      Conditions: [["content-length-range", 1, 10]],
    });
    const post = async (body: string) => {
      const data = new FormData();
      for (const [name, value] of Object.entries(form.fields)) data.append(name, value);
      data.append("file", new Blob([body]), "f");
      const encoded = new Response(data);
      const headers = { "content-type": encoded.headers.get("content-type") ?? "" };
      const bytes = Buffer.from(await encoded.arrayBuffer());
      return (await plainRequest(server, new URL(form.url).pathname, { method: "POST", headers, body: bytes })).status;
    };
    expect(await post("more than ten bytes")).toBe(400);
    expect(await post("by form")).toBe(204);
    expect((await get("presigned", "form/1")).toString()).toBe("by form");
  }, 120_000);

  it("versions, delete markers, and object lock", async () => {
    await makeBucket("locked", { ObjectLockEnabledForBucket: true });
    const ref = { Bucket: "locked", Key: "k" };
    const { VersionId } = await put("locked", "k", "first");
    await put("locked", "k", "second");
    expect((await get("locked", "k", { VersionId })).toString()).toBe("first");
    const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 86_400_000);
    const retention = { Mode: "GOVERNANCE", RetainUntilDate: until } as const;
    await sdk.send(new s3.PutObjectRetentionCommand({ ...ref, VersionId, Retention: retention }));
    const found = await sdk.send(new s3.GetObjectRetentionCommand({ ...ref, VersionId }));
    expect(found.Retention).toEqual(retention);
    await expect(sdk.send(new s3.DeleteObjectCommand({ ...ref, VersionId }))).rejects.toMatchObject({
      name: "AccessDenied",
    });
    const marker = await sdk.send(new s3.DeleteObjectCommand(ref));
    expect(marker.DeleteMarker).toBe(true);
    await expect(get("locked", "k")).rejects.toMatchObject({ name: "NoSuchKey" });
    const listed = await sdk.send(new s3.ListObjectVersionsCommand({ Bucket: "locked" }));
    expect([listed.Versions?.length, listed.DeleteMarkers?.length]).toEqual([2, 1]);
    await sdk.send(new s3.DeleteObjectCommand({ ...ref, VersionId, BypassGovernanceRetention: true }));
  }, 120_000);

  it("copies, with new metadata and in parts, and attributes", async () => {
    await makeBucket("copies");
    await put("copies", "a key+ü", Buffer.alloc(6 * 1024 ** 2, "x"), { Metadata: { old: "1" } });
    const CopySource = `copies/${encodeURIComponent("a key+ü")}`;
    const copy = { Bucket: "copies", Key: "copy", CopySource };
    await sdk.send(new s3.CopyObjectCommand({ ...copy, MetadataDirective: "REPLACE", Metadata: { fresh: "2" } }));
    const head = await sdk.send(new s3.HeadObjectCommand({ Bucket: "copies", Key: "copy" }));
    expect([head.Metadata, head.ContentLength]).toEqual([{ fresh: "2" }, 6 * 1024 ** 2]);
    const { UploadId } = await sdk.send(new s3.CreateMultipartUploadCommand({ Bucket: "copies", Key: "parts" }));
    const upload = { Bucket: "copies", Key: "parts", UploadId };
    const first = await sdk.send(new s3.UploadPartCopyCommand({ ...upload, PartNumber: 1, CopySource }));
    const last = await sdk.send(
      new s3.UploadPartCopyCommand({ ...upload, PartNumber: 2, CopySource, CopySourceRange: "bytes=0-9" }),
    );
    const Parts = [first, last].map(({ CopyPartResult }, i) => ({ PartNumber: i + 1, ETag: CopyPartResult?.ETag }));
    await sdk.send(new s3.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
    const attributes = await sdk.send(
      new s3.GetObjectAttributesCommand({
        Bucket: "copies",
        Key: "parts",
        ObjectAttributes: ["ObjectSize", "ObjectParts"],
      }),
    );
    expect([attributes.ObjectSize, attributes.ObjectParts?.TotalPartsCount]).toEqual([6 * 1024 ** 2 + 10, 2]);
  }, 120_000);

  it("policies of buckets, and of users made by the command line", async () => {
    await makeBucket("policies");
    for (const key of ["open/a", "closed/a"]) await put("policies", key, key);
    const Statement = [
      { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::policies/open/*" },
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await sdk.send(new s3.PutBucketPolicyCommand({ Bucket: "policies", Policy }));
    expect((await plainRequest(server, "/policies/open/a")).body.toString()).toBe("open/a");
    expect((await plainRequest(server, "/policies/closed/a")).status).toBe(403);
    const made = server.granary("user", "create", "nobody", "-o", "json");
    const nobody = sdkClient(server, JSON.parse(made.stdout) as { accessKey: string; secretKey: string });
    const read = (Key: string) => nobody.send(new s3.GetObjectCommand({ Bucket: "policies", Key }));
    await buffer((await read("open/a")).Body as Readable);
    await expect(read("closed/a")).rejects.toMatchObject({ name: "AccessDenied" });
    expect(server.granary("user", "policy", "attach", "nobody", "readonly")).toMatchObject({ code: 0 });
    await buffer((await read("closed/a")).Body as Readable);
    nobody.destroy();
  }, 120_000);

  it("errors have the names that programs catch", async () => {
    await makeBucket("errors");
    await put("errors", "k", "1");
    const attempts: [s3.S3Client, string, string][] = [
      [sdk, "none", "NoSuchBucket"],
      [sdkClient(server, { ...server, secretKey: "wrong-secret-key" }), "errors", "SignatureDoesNotMatch"],
      [sdkClient(server, { ...server, accessKey: "NOBODYSKEY" }), "errors", "InvalidAccessKeyId"],
    ];
    for (const [one, Bucket, name] of attempts)
      await expect(one.send(new s3.ListObjectsV2Command({ Bucket }))).rejects.toMatchObject({ name });
    await expect(get("errors", "none")).rejects.toMatchObject({ name: "NoSuchKey" });
    await expect(sdk.send(new s3.DeleteBucketCommand({ Bucket: "errors" }))).rejects.toMatchObject({
      name: "BucketNotEmpty",
    });
    // As in us-east-1, where this is no error.
    await makeBucket("errors");
  }, 120_000);
});
