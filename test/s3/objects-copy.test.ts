import { describe, expect, it } from "vitest";
import { pathOf, type RawAnswer } from "./exact-request.js";
import { text, texts, useWorld } from "./s3-world.js";

const world = useWorld();
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);

const copy = (from: string, bucket: string, key: string, headers: Record<string, string> = {}) =>
  world.put(bucket, key, "", { "x-amz-copy-source": from, ...headers });

describe("CopyObject", () => {
  it("bytes, type, metadata and tags come along; ACL, class and redirect do not", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "hello", {
      "content-type": "text/plain",
      "cache-control": "no-cache",
      "x-amz-meta-color": "blue",
      "x-amz-tagging": "k=v",
      "x-amz-storage-class": "STANDARD_IA",
      "x-amz-website-redirect-location": "/x",
    });
    const done = await copy(`/${bucket}/a`, bucket, "b");
    expect(done.status).toBe(200);
    expect(done.text).toContain('<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">');
    expect(texts(done.xml(), "LastModified")[0]).toMatch(/^\d{4}-.*\.\d{3}Z$/);
    const got = await world.get(bucket, "b");
    expect([got.text, text(done, "ETag")]).toEqual(["hello", got.headers.etag]);
    expect(got.headers).toMatchObject({
      "content-type": "text/plain",
      "cache-control": "no-cache",
      "x-amz-meta-color": "blue",
      "x-amz-tagging-count": "1",
    });
    expect(got.headers["x-amz-storage-class"]).toBeUndefined();
    expect(got.headers["x-amz-website-redirect-location"]).toBeUndefined();
  });

  it("REPLACE: metadata and tags are those of the request, system metadata too", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "hello", {
      "content-type": "text/plain",
      "cache-control": "no-cache",
      "x-amz-meta-color": "blue",
      "x-amz-tagging": "k=v",
    });
    await copy(`${bucket}/a`, bucket, "b", {
      "x-amz-metadata-directive": "REPLACE",
      "x-amz-tagging-directive": "REPLACE",
      "x-amz-meta-size": "big",
      "x-amz-tagging": "x=1&y=2",
    });
    const { headers } = await world.get(bucket, "b");
    expect(headers).toMatchObject({
      "content-type": "binary/octet-stream",
      "x-amz-meta-size": "big",
      "x-amz-tagging-count": "2",
    });
    expect([headers["cache-control"], headers["x-amz-meta-color"]]).toEqual([undefined, undefined]);
  });

  it("an unknown directive: InvalidArgument", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "x");
    for (const name of ["x-amz-metadata-directive", "x-amz-tagging-directive"]) {
      expect(outcome(await copy(`${bucket}/a`, bucket, "b", { [name]: "MERGE" }))).toBe("400 InvalidArgument");
    }
  });

  it("rule 27: onto itself without a change: InvalidRequest; with one: 200, and the bytes stay", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "hello", { "x-amz-meta-a": "1" });
    const from = `/${bucket}/a`;
    expect(outcome(await copy(from, bucket, "a"))).toBe("400 InvalidRequest");
    expect(outcome(await copy(from, bucket, "a", { "x-amz-meta-a": "2" }))).toBe("400 InvalidRequest");
    const replaced = { "x-amz-metadata-directive": "REPLACE", "x-amz-meta-b": "2" };
    expect((await copy(from, bucket, "a", replaced)).status).toBe(200);
    const got = await world.get(bucket, "a");
    expect([got.text, got.headers["x-amz-meta-a"], got.headers["x-amz-meta-b"]]).toEqual(["hello", undefined, "2"]);
    expect((await copy(from, bucket, "a", { "x-amz-storage-class": "STANDARD_IA" })).status).toBe(200);
    expect((await world.get(bucket, "a")).headers["x-amz-storage-class"]).toBe("STANDARD_IA");
  });

  it("rule 27: an older version onto its key brings it back", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const first = (await world.put(bucket, "a", "one")).headers["x-amz-version-id"];
    await world.put(bucket, "a", "two");
    const done = await copy(`/${bucket}/a?versionId=${first}`, bucket, "a");
    expect(done.status).toBe(200);
    expect(done.headers["x-amz-copy-source-version-id"]).toBe(first);
    expect(done.headers["x-amz-version-id"]).not.toBe(first);
    expect((await world.get(bucket, "a")).text).toBe("one");
  });

  it("rule 27: the source is decoded before its version is split off; odd keys", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    for (const key of ["a b+c", "a/../b", "//x", "ü/%41", "q?x=1"]) {
      const version = (await world.put(bucket, key, key)).headers["x-amz-version-id"];
      const from = pathOf(bucket, key);
      for (const source of [from, from.slice(1), `${from}?versionId=${version}`]) {
        expect((await copy(source, bucket, "copy")).status).toBe(200);
        expect((await world.get(bucket, "copy")).text).toBe(key);
      }
      const encoded = encodeURIComponent(`${bucket}/${key}?versionId=${version}`);
      expect((await copy(encoded, bucket, "copy")).status).toBe(200);
      expect((await world.get(bucket, "copy")).text).toBe(key);
    }
  });

  it("a source that is not there, or is a delete marker, or is no source", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    await world.put(bucket, "a", "x");
    const marker = (await world.send(bucket, "a", { method: "DELETE" })).headers["x-amz-version-id"];
    expect(outcome(await copy(`/${bucket}/none`, bucket, "b"))).toBe("404 NoSuchKey");
    expect(outcome(await copy(`/${bucket}/a`, bucket, "b"))).toBe("404 NoSuchKey");
    expect(outcome(await copy(`/${bucket}/a?versionId=${marker}`, bucket, "b"))).toBe("400 InvalidRequest");
    expect(outcome(await copy("/no-such-bucket-at-all/a", bucket, "b"))).toBe("404 NoSuchBucket");
    expect(outcome(await copy("nothing", bucket, "b"))).toBe("400 InvalidArgument");
    expect(outcome(await copy("arn:aws:s3:us-east-1:1:accesspoint/x/object/k", bucket, "b"))).toBe(
      "501 NotImplemented",
    );
    expect((await world.get(bucket, "b")).status).toBe(404);
  });

  it("path traversal by copy source: `..` names no other bucket", async () => {
    const [open, secret] = [await world.bucket(), await world.bucket()];
    await world.put(secret, "k", "secret");
    for (const from of [`/${open}/../${secret}/k`, `/${open}/%2e%2e/${secret}/k`, `/${open}%2F..%2F${secret}%2Fk`]) {
      expect(outcome(await copy(from, open, "stolen"))).toBe("404 NoSuchKey");
    }
    expect(outcome(await copy(`/../${secret}/k`, open, "stolen"))).toBe("404 NoSuchBucket");
  });

  it("rule 16: conditions on the source: 412 where they fail", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "a", "x")).headers.etag ?? "";
    const past = new Date(Date.now() - 86_400_000).toUTCString();
    const from = `/${bucket}/a`;
    const name = (condition: string) => `x-amz-copy-source-${condition}`;
    const fails: Record<string, string>[] = [
      { [name("if-match")]: '"x"' },
      { [name("if-none-match")]: etag },
      { [name("if-unmodified-since")]: past },
      { [name("if-none-match")]: etag, [name("if-modified-since")]: past },
    ];
    for (const headers of fails) expect(outcome(await copy(from, bucket, "b", headers))).toBe("412 PreconditionFailed");
    const holds: Record<string, string>[] = [
      { [name("if-match")]: etag, [name("if-unmodified-since")]: past },
      { [name("if-none-match")]: '"x"' },
      { [name("if-modified-since")]: past },
    ];
    for (const headers of holds) expect(outcome(await copy(from, bucket, "b", headers))).toBe("200");
  });

  it("rule 16: conditions on the target", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "a", "x")).headers.etag ?? "";
    const from = `/${bucket}/a`;
    expect(outcome(await copy(from, bucket, "b", { "if-none-match": "*" }))).toBe("200");
    expect(outcome(await copy(from, bucket, "b", { "if-none-match": "*" }))).toBe("412 PreconditionFailed");
    expect(outcome(await copy(from, bucket, "b", { "if-match": etag }))).toBe("200");
    expect(outcome(await copy(from, bucket, "b", { "if-match": '"x"' }))).toBe("412 PreconditionFailed");
    const results = await Promise.all(
      Array.from({ length: 16 }, () => copy(from, bucket, "c", { "if-none-match": "*" })),
    );
    expect(results.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it("checksums: the source's is kept, another is computed where it is asked for", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "123456789", { "x-amz-checksum-crc32": "y/Q5Jg==" });
    const kept = await copy(`/${bucket}/a`, bucket, "b");
    expect([text(kept, "ChecksumCRC32"), text(kept, "ChecksumType")]).toEqual(["y/Q5Jg==", "FULL_OBJECT"]);
    const other = await copy(`/${bucket}/a`, bucket, "c", { "x-amz-checksum-algorithm": "CRC32C" });
    expect([text(other, "ChecksumCRC32C"), text(other, "ChecksumCRC32")]).toEqual(["4waSgw==", undefined]);
    const head = await world.send(bucket, "c", { method: "HEAD", headers: { "x-amz-checksum-mode": "ENABLED" } });
    expect(head.headers["x-amz-checksum-crc32c"]).toBe("4waSgw==");
    const unknown = await copy(`/${bucket}/a`, bucket, "d", { "x-amz-checksum-algorithm": "MD4" });
    expect(outcome(unknown)).toBe("400 InvalidRequest");
  });

  it("a large object: shared bytes outlive the source", async () => {
    const [from, to] = [await world.bucket(), await world.bucket()];
    const body = Buffer.alloc(8_000_000, 7);
    await world.put(from, "a", body);
    expect((await copy(`/${from}/a`, to, "b")).status).toBe(200);
    await world.send(from, "a", { method: "DELETE" });
    expect((await world.get(to, "b")).bytes.equals(body)).toBe(true);
  });

  it("a source that is overwritten all the while: each copy is one of its states, whole", async () => {
    const bucket = await world.bucket();
    const states = [1, 2, 3, 4].map((value) => Buffer.alloc(200_000, value));
    await world.put(bucket, "a", states[0]);
    let over = false;
    const writer = (async () => {
      for (let i = 0; !over; i++) await world.put(bucket, "a", states[i % 4]);
    })();
    for (let i = 0; i < 20; i++) {
      const done = await copy(`/${bucket}/a`, bucket, "b", { "x-amz-checksum-algorithm": "SHA256" });
      if (outcome(done) === "409 ConditionalRequestConflict") continue;
      expect(outcome(done)).toBe("200");
      const { bytes } = await world.get(bucket, "b");
      expect(states.some((state) => state.equals(bytes))).toBe(true);
    }
    over = true;
    await writer;
  });

  it("SSE answered but not done: encryption of target or source: 501", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "x");
    for (const name of [
      "x-amz-server-side-encryption",
      "x-amz-copy-source-server-side-encryption-customer-algorithm",
    ]) {
      expect(outcome(await copy(`/${bucket}/a`, bucket, "b", { [name]: "AES256" }))).toBe("501 NotImplemented");
    }
  });

  it("x-amz-source-expected-bucket-owner of another: AccessDenied", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "x");
    const headers = { "x-amz-source-expected-bucket-owner": "123456789012" };
    expect(outcome(await copy(`/${bucket}/a`, bucket, "b", headers))).toBe("403 AccessDenied");
  });
});

describe("RenameObject", () => {
  const rename = (bucket: string, from: string, to: string, headers: Record<string, string> = {}) =>
    world.send(bucket, to, {
      method: "PUT",
      query: "renameObject",
      headers: { "x-amz-rename-source": encodeURIComponent(from), ...headers },
    });

  it("the object is at its new key with all it has, and no more at the old one", async () => {
    const bucket = await world.bucket();
    const { etag = "" } = (await world.put(bucket, "a b", "hello", { "x-amz-meta-m": "1" })).headers;
    expect(outcome(await rename(bucket, "a b", "c"))).toBe("200");
    const got = await world.get(bucket, "c");
    expect([got.text, got.headers.etag, got.headers["x-amz-meta-m"]]).toEqual(["hello", etag, "1"]);
    expect((await world.get(bucket, "a b")).status).toBe(404);
  });

  it("rule 16: conditions on both ends", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "1");
    const etag = (await world.put(bucket, "b", "2")).headers.etag ?? "";
    expect(outcome(await rename(bucket, "a", "b", { "if-none-match": "*" }))).toBe("412 PreconditionFailed");
    expect(outcome(await rename(bucket, "a", "b", { "if-match": '"x"' }))).toBe("412 PreconditionFailed");
    const source = { "x-amz-rename-source-if-match": '"x"' };
    expect(outcome(await rename(bucket, "a", "b", source))).toBe("412 PreconditionFailed");
    const future = new Date(Date.now() + 86_400_000).toUTCString();
    const modified = (await world.get(bucket, "b")).headers["last-modified"] ?? "";
    expect(outcome(await rename(bucket, "a", "b", { "if-modified-since": modified }))).toBe("412 PreconditionFailed");
    expect(outcome(await rename(bucket, "a", "b", { "if-match": etag, "if-unmodified-since": future }))).toBe("200");
    expect((await world.get(bucket, "b")).text).toBe("1");
  });

  it("a source that is not there, no source, its own name, a folder's name", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "1");
    expect(outcome(await rename(bucket, "none", "b"))).toBe("404 NoSuchKey");
    expect(outcome(await rename(bucket, "", "b"))).toBe("400 InvalidArgument");
    expect(outcome(await rename(bucket, "a", "a"))).toBe("400 InvalidRequest");
    expect(outcome(await rename(bucket, "a", "b/"))).toBe("400 InvalidRequest");
  });
});
