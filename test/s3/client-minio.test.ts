import { createReadStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { type Client, CopyDestinationOptions, CopySourceOptions, RETENTION_MODES } from "minio";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openUrl, PROTOCOLS, plainRequest, type S3Server, startS3 } from "./harness.js";
import { makeLargeFile, makeOddTree, sha256File, treeOf } from "./odd-tree.js";
import { scratch } from "./run-client.js";
import { minioClient } from "./sdk-clients.js";

describe.each(PROTOCOLS)("minio (JavaScript) over $protocol", ({ https }) => {
  let server: S3Server;
  let minio: Client;
  beforeAll(async () => {
    server = await startS3({ https });
    minio = minioClient(server);
  });
  afterAll(() => server?.remove());

  const list = async <T>(stream: AsyncIterable<T>) => {
    const found: T[] = [];
    for await (const item of stream) found.push(item);
    return found;
  };
  const text = async (bucket: string, key: string) => (await buffer(await minio.getObject(bucket, key))).toString();

  it("a tree of odd names, there and back, and all of it deleted in one request", async () => {
    const [from, to] = [scratch(server, "from"), scratch(server, "to")];
    makeOddTree(from);
    const names = Object.keys(treeOf(from));
    await minio.makeBucket("tree");
    for (const name of names) await minio.fPutObject("tree", name, join(from, name));
    const listed = await list(minio.listObjectsV2("tree", "", true));
    const keys = listed.map(({ name }) => name ?? "");
    expect(keys).toEqual([...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    for (const key of keys) await minio.fGetObject("tree", key, join(to, key));
    expect(treeOf(to)).toEqual(treeOf(from));
    await minio.removeObjects("tree", keys);
    await minio.removeBucket("tree");
    expect(await minio.bucketExists("tree")).toBe(false);
  }, 120_000);

  it("200 MiB in parts, there and back, by a file and by a stream", async () => {
    const dir = scratch(server);
    const sum = makeLargeFile(join(dir, "large"));
    await minio.makeBucket("large");
    await minio.fPutObject("large", "file", join(dir, "large"));
    await minio.putObject("large", "stream", createReadStream(join(dir, "large")));
    for (const name of ["file", "stream"]) {
      await minio.fGetObject("large", name, join(dir, "back"));
      expect(await sha256File(join(dir, "back"))).toBe(sum);
      expect((await minio.statObject("large", name)).etag).toMatch(/^[0-9a-f]{32}-\d+$/);
    }
    expect(await list(minio.listIncompleteUploads("large", "", true))).toEqual([]);
  }, 120_000);

  it("an upload that is given up is listed, and removed", async () => {
    await minio.makeBucket("incomplete");
    const id = await minio.initiateNewMultipartUpload("incomplete", "k", {});
    const [upload] = await list(minio.listIncompleteUploads("incomplete", "", true));
    expect(upload).toMatchObject({ key: "k", uploadId: id });
    await minio.removeIncompleteUpload("incomplete", "k");
    expect(await list(minio.listIncompleteUploads("incomplete", "", true))).toEqual([]);
  }, 120_000);

  it("listing by folders, and the metadata of an object", async () => {
    await minio.makeBucket("folders");
    const metadata = { "Content-Type": "text/x-test", "X-Amz-Meta-Colour": "red" };
    for (const key of ["a/1", "a/2", "b"]) await minio.putObject("folders", key, key, undefined, metadata);
    const listed = await list(minio.listObjectsV2("folders"));
    expect(listed.map(({ name, prefix }) => name ?? prefix).sort()).toEqual(["a/", "b"]);
    expect(await minio.statObject("folders", "b")).toMatchObject({
      size: 1,
      metaData: { "content-type": "text/x-test", colour: "red" },
    });
    expect((await list(minio.listObjects("folders", "a/", true))).map(({ name }) => name)).toEqual(["a/1", "a/2"]);
  }, 120_000);

  it("parts of an object, and objects composed of others", async () => {
    await minio.makeBucket("parts");
    const data = Buffer.alloc(6 * 1024 ** 2, "0123456789");
    await minio.putObject("parts", "one", data);
    await minio.putObject("parts", "two", "the end");
    expect((await buffer(await minio.getPartialObject("parts", "one", 1_000_003, 7))).toString()).toBe("3456789");
    await minio.composeObject(
      new CopyDestinationOptions({ Bucket: "parts", Object: "whole" }),
      ["one", "two"].map((name) => new CopySourceOptions({ Bucket: "parts", Object: name })),
    );
    const whole = await buffer(await minio.getObject("parts", "whole"));
    expect(whole.equals(Buffer.concat([data, Buffer.from("the end")]))).toBe(true);
  }, 120_000);

  it("presigned GET and PUT, and a form with a policy", async () => {
    await minio.makeBucket("presigned");
    const put = await minio.presignedPutObject("presigned", "a key+ü", 60);
    const { origin } = new URL(put);
    expect((await plainRequest(server, put.slice(origin.length), { method: "PUT", body: "by url" })).status).toBe(200);
    const get = await minio.presignedGetObject("presigned", "a key+ü", 60, { "response-content-type": "text/x-asked" });
    const answer = await openUrl(server, get);
    expect([answer.body.toString(), answer.headers["content-type"]]).toEqual(["by url", "text/x-asked"]);
    const policy = minio.newPostPolicy();
    policy.setBucket("presigned");
    policy.setKeyStartsWith("form/");
    policy.setContentLengthRange(1, 10);
    policy.setExpires(new Date(Date.now() + 60_000));
    const { postURL, formData } = await minio.presignedPostPolicy(policy);
    const post = (key: string, body: string) => {
      const form = new FormData();
      for (const [name, value] of Object.entries({ ...formData, key })) form.append(name, String(value));
      form.append("file", new Blob([body]), "f.txt");
      const encoded = new Response(form);
      return encoded.arrayBuffer().then((bytes) =>
        plainRequest(server, new URL(postURL).pathname, {
          method: "POST",
          headers: { "content-type": encoded.headers.get("content-type") ?? "" },
          body: Buffer.from(bytes),
        }),
      );
    };
    expect((await post("form/1", "by form")).status).toBe(204);
    expect((await post("other/1", "by form")).status).toBe(403);
    expect((await post("form/2", "more than ten bytes")).status).toBe(400);
    expect(await text("presigned", "form/1")).toBe("by form");
  }, 120_000);

  it("versions: each is read by its id, and a marker hides them", async () => {
    await minio.makeBucket("versions");
    await minio.setBucketVersioning("versions", { Status: "Enabled" });
    expect(await minio.getBucketVersioning("versions")).toMatchObject({ Status: "Enabled" });
    const first = await minio.putObject("versions", "k", "first");
    await minio.putObject("versions", "k", "second");
    const options = { versionId: first.versionId ?? "" };
    expect((await buffer(await minio.getObject("versions", "k", options))).toString()).toBe("first");
    await minio.removeObject("versions", "k");
    await expect(minio.statObject("versions", "k")).rejects.toMatchObject({ code: "NotFound" });
    const all = await list(minio.listObjects("versions", "", true, { IncludeVersion: true }));
    expect(all).toHaveLength(3);
    await minio.removeObjects(
      "versions",
      all.map(({ name = "", versionId }) => ({ name, versionId: versionId ?? "" })),
    );
    await minio.removeBucket("versions");
  }, 120_000);

  it("bucket policy, tags, lifecycle and object lock", async () => {
    await minio.makeBucket("configured", server.region, { ObjectLocking: true });
    const statement = {
      Effect: "Allow",
      Principal: "*",
      Action: "s3:GetObject",
      Resource: "arn:aws:s3:::configured/open/*",
    };
    await minio.setBucketPolicy("configured", JSON.stringify({ Version: "2012-10-17", Statement: [statement] }));
    await minio.putObject("configured", "open/a", "open");
    expect((await plainRequest(server, "/configured/open/a")).body.toString()).toBe("open");
    await minio.setBucketPolicy("configured", "");
    expect((await plainRequest(server, "/configured/open/a")).status).toBe(403);
    await minio.setBucketTagging("configured", { team: "storage" });
    expect(await minio.getBucketTagging("configured")).toEqual([{ Key: "team", Value: "storage" }]);
    await minio.setObjectTagging("configured", "open/a", { state: "new" });
    expect(await minio.getObjectTagging("configured", "open/a")).toEqual([{ Key: "state", Value: "new" }]);
    const rule = { ID: "old", Status: "Enabled", Filter: { Prefix: "tmp/" }, Expiration: { Days: 7 } };
    await minio.setBucketLifecycle("configured", { Rule: [rule] } as never);
    expect(await minio.getBucketLifecycle("configured")).toMatchObject({ Rule: { ID: "old" } });
    const retainUntilDate = new Date(Date.now() + 86_400_000).toISOString();
    // Its types contradict each other.
    await minio.putObjectRetention("configured", "open/a", {
      mode: RETENTION_MODES.GOVERNANCE,
      retainUntilDate,
    } as never);
    const { versionId } = await minio.statObject("configured", "open/a");
    await expect(minio.removeObject("configured", "open/a", { versionId: versionId ?? "" })).rejects.toMatchObject({
      code: "AccessDenied",
    });
    await minio.removeObject("configured", "open/a", { versionId: versionId ?? "", governanceBypass: true });
  }, 120_000);

  it("a key of a user of the command line works at once, and not after it is disabled", async () => {
    await minio.makeBucket("shared");
    await minio.putObject("shared", "k", "text");
    const made = server.granary("user", "create", "reader", "--policy", "readonly", "-o", "json");
    expect(made.code).toBe(0);
    const reader = minioClient(server, JSON.parse(made.stdout) as { accessKey: string; secretKey: string });
    expect((await buffer(await reader.getObject("shared", "k"))).toString()).toBe("text");
    await expect(reader.putObject("shared", "k", "other")).rejects.toMatchObject({ code: "AccessDenied" });
    expect(server.granary("user", "disable", "reader").code).toBe(0);
    await expect(reader.getObject("shared", "k")).rejects.toMatchObject({ code: "InvalidAccessKeyId" });
  }, 120_000);

  it("a stream that ends before its length leaves nothing", async () => {
    await minio.makeBucket("short");
    writeFileSync(join(server.dir, "short"), "short");
    const broken = Readable.from(
      (async function* () {
        yield Buffer.alloc(70_000);
        throw new Error("the source broke");
      })(),
    );
    await expect(minio.putObject("short", "k", broken, 200_000)).rejects.toThrow();
    expect(await list(minio.listObjectsV2("short", "", true))).toEqual([]);
  }, 120_000);
});
