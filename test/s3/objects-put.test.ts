import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { useWorld } from "./s3-world.js";

const world = useWorld();
const md5 = (text: string) => createHash("md5").update(text).digest("hex");

describe("PutObject and GetObject", () => {
  it("what was put: back, with ETag, length, date and the default type", async () => {
    const bucket = await world.bucket();
    const put = await world.put(bucket, "k", "hello");
    expect(put.status).toBe(200);
    expect(put.headers.etag).toBe(`"${md5("hello")}"`);
    expect(put.headers["x-amz-version-id"]).toBeUndefined();
    expect(put.headers["content-length"]).toBe("0");
    const got = await world.get(bucket, "k");
    expect(got.text).toBe("hello");
    expect(got.headers).toMatchObject({
      etag: `"${md5("hello")}"`,
      "content-length": "5",
      "content-type": "binary/octet-stream",
      "accept-ranges": "bytes",
    });
    expect(Date.parse(got.headers["last-modified"] ?? "")).toBeGreaterThan(Date.now() - 60_000);
    expect(got.headers["x-amz-request-id"]).toMatch(/^[0-9A-F]{20}$/);
    expect(got.headers["x-amz-storage-class"]).toBeUndefined();
    expect(got.headers["x-amz-version-id"]).toBeUndefined();
  });

  it("overwritten: the new bytes, whatever their size", async () => {
    const bucket = await world.bucket();
    for (const size of [0, 1, 4096, 100_000, 3_000_000, 10]) {
      const body = Buffer.alloc(size, size % 251);
      await world.put(bucket, "k", body);
      expect((await world.get(bucket, "k")).bytes.equals(body)).toBe(true);
    }
  });

  it("rule 15: HEAD says what GET does, without a body", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "hello", { "x-amz-meta-a": "1", "cache-control": "no-cache" });
    const [head, get] = [await world.send(bucket, "k", { method: "HEAD" }), await world.get(bucket, "k")];
    expect(head.status).toBe(200);
    expect(head.text).toBe("");
    for (const name of ["etag", "content-length", "content-type", "last-modified", "x-amz-meta-a", "cache-control"]) {
      expect([name, head.headers[name]]).toEqual([name, get.headers[name]]);
    }
  });

  it("rule 15: HEAD of what is not there: 404 without a body, with a request id", async () => {
    const bucket = await world.bucket();
    const head = await world.send(bucket, "none", { method: "HEAD" });
    expect(head.status).toBe(404);
    expect(head.text).toBe("");
    expect(head.headers["x-amz-request-id"]).toBeDefined();
  });

  it("a key that is not there: NoSuchKey with the key", async () => {
    const bucket = await world.bucket();
    const got = await world.get(bucket, "a/none");
    expect([got.status, got.code]).toEqual([404, "NoSuchKey"]);
    expect(got.text).toContain("<Key>a/none</Key>");
  });

  it("a bucket that is not there: NoSuchBucket, for reads and writes", async () => {
    expect((await world.get("no-such-bucket-here", "k")).code).toBe("NoSuchBucket");
    expect((await world.put("no-such-bucket-here", "k", "x")).code).toBe("NoSuchBucket");
  });

  it("system metadata: kept and told", async () => {
    const bucket = await world.bucket();
    const system = {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "max-age=60",
      "content-disposition": 'attachment; filename="a b.txt"',
      "content-language": "de-AT",
      expires: "Thu, 01 Dec 2033 16:00:00 GMT",
      "x-amz-website-redirect-location": "/other",
    };
    await world.put(bucket, "k", "x", { ...system, "content-encoding": "gzip" });
    expect((await world.get(bucket, "k")).headers).toMatchObject({ ...system, "content-encoding": "gzip" });
  });

  it("rule 9: aws-chunked is no part of the stored Content-Encoding", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x", { "content-encoding": "aws-chunked" });
    expect((await world.get(bucket, "k")).headers["content-encoding"]).toBeUndefined();
    await world.put(bucket, "k", "x", { "content-encoding": "gzip, aws-chunked" });
    expect((await world.get(bucket, "k")).headers["content-encoding"]).toBe("gzip");
  });

  it("storage class: told where it is not STANDARD; an unknown one: InvalidStorageClass", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x", { "x-amz-storage-class": "STANDARD_IA" });
    expect((await world.get(bucket, "k")).headers["x-amz-storage-class"]).toBe("STANDARD_IA");
    await world.put(bucket, "k", "x", { "x-amz-storage-class": "STANDARD" });
    expect((await world.get(bucket, "k")).headers["x-amz-storage-class"]).toBeUndefined();
    const refused = await world.put(bucket, "k", "x", { "x-amz-storage-class": "GOLD" });
    expect([refused.status, refused.code]).toEqual([400, "InvalidStorageClass"]);
  });

  it("x-amz-request-payer: accepted, and charges nobody", async () => {
    const bucket = await world.bucket();
    const put = await world.put(bucket, "k", "x", { "x-amz-request-payer": "requester" });
    expect(put.status).toBe(200);
    expect(put.headers["x-amz-request-charged"]).toBeUndefined();
  });

  it("a length over 5 GiB: EntityTooLarge before a byte is sent", async () => {
    const bucket = await world.bucket();
    const put = await world.send(bucket, "k", {
      method: "PUT",
      headers: { "content-length": String(5 * 1024 ** 3 + 1), expect: "100-continue" },
    });
    expect([put.status, put.code]).toEqual([400, "EntityTooLarge"]);
    expect(put.text).toContain(`<MaxSizeAllowed>${5 * 1024 ** 3}</MaxSizeAllowed>`);
  });
});

describe("rule 18: user metadata", () => {
  it("ASCII: as it was sent, names in lower case; an empty value too", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "", { "X-Amz-Meta-Mixed": "Value", "x-amz-meta-empty": "" });
    const { headers } = await world.get(bucket, "k");
    expect(headers).toMatchObject({ "x-amz-meta-mixed": "Value", "x-amz-meta-empty": "" });
  });

  it("bytes that are not ASCII: an encoded word of RFC 2047", async () => {
    const bucket = await world.bucket();
    const value = Buffer.from("ÄMÄZÕÑ S3", "utf8").toString("latin1");
    expect((await world.put(bucket, "k", "", { "x-amz-meta-nonascii": value })).status).toBe(200);
    const { headers } = await world.get(bucket, "k");
    expect(headers["x-amz-meta-nonascii"]).toBe("=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=");
  });

  it("encoded words: kept as their text, and told as words again where they have to be", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "", {
      "x-amz-meta-a": "=?UTF-8?B?YWJj?=",
      "x-amz-meta-b": "=?UTF-8?B?w4RNw4Raw5XDkSBTMw==?=",
    });
    const { headers } = await world.get(bucket, "k");
    expect(headers["x-amz-meta-a"]).toBe("abc");
    expect(headers["x-amz-meta-b"]).toBe("=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?=");
  });

  it("more than 2 KB: MetadataTooLarge", async () => {
    const bucket = await world.bucket();
    expect((await world.put(bucket, "k", "", { "x-amz-meta-a": "x".repeat(2047) })).status).toBe(200);
    const put = await world.put(bucket, "k", "", { "x-amz-meta-a": "x".repeat(2048) });
    expect([put.status, put.code]).toEqual([400, "MetadataTooLarge"]);
  });

  it("the same name twice: joined by commas", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "", { "x-amz-meta-a": ["one", "two"] });
    expect((await world.get(bucket, "k")).headers["x-amz-meta-a"]).toMatch(/^one, ?two$/);
  });

  it("prototype pollution by metadata: __proto__ and constructor are names like others", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "", { "x-amz-meta-__proto__": "p", "x-amz-meta-constructor": "c" });
    const { headers } = await world.get(bucket, "k");
    expect(headers["x-amz-meta-__proto__"]).toBe("p");
    expect(headers["x-amz-meta-constructor"]).toBe("c");
    await world.put(bucket, "other", "");
    const other = await world.get(bucket, "other");
    expect(Object.keys(other.headers).some((name) => name.startsWith("x-amz-meta-"))).toBe(false);
  });
});

describe("rule 10: checksums", () => {
  it("none sent: CRC64NVME is computed, told on PUT, and on GET only where it is asked for", async () => {
    const bucket = await world.bucket();
    const put = await world.put(bucket, "k", "123456789");
    expect(put.headers["x-amz-checksum-crc64nvme"]).toBe("rosUhgp5mIg=");
    expect(put.headers["x-amz-checksum-type"]).toBe("FULL_OBJECT");
    expect((await world.get(bucket, "k")).headers["x-amz-checksum-crc64nvme"]).toBeUndefined();
    const asked = await world.get(bucket, "k", { "x-amz-checksum-mode": "ENABLED" });
    expect(asked.headers["x-amz-checksum-crc64nvme"]).toBe("rosUhgp5mIg=");
    expect(asked.headers["x-amz-checksum-type"]).toBe("FULL_OBJECT");
    const range = await world.get(bucket, "k", { "x-amz-checksum-mode": "ENABLED", range: "bytes=0-3" });
    expect(range.headers["x-amz-checksum-crc64nvme"]).toBeUndefined();
    const all = await world.get(bucket, "k", { "x-amz-checksum-mode": "ENABLED", range: "bytes=0-100" });
    expect([all.status, all.headers["x-amz-checksum-crc64nvme"]]).toEqual([206, "rosUhgp5mIg="]);
  });

  it.each([
    ["crc32", "y/Q5Jg=="],
    ["crc32c", "4waSgw=="],
    ["crc64nvme", "rosUhgp5mIg="],
    ["sha1", createHash("sha1").update("123456789").digest("base64")],
    ["sha256", createHash("sha256").update("123456789").digest("base64")],
  ])("%s of the right value: kept; of a wrong one: BadDigest, and nothing is kept", async (name, value) => {
    const bucket = await world.bucket();
    const header = `x-amz-checksum-${name}`;
    const put = await world.put(bucket, "k", "123456789", { [header]: value });
    expect(put.headers[header]).toBe(value);
    const head = await world.send(bucket, "k", { method: "HEAD", headers: { "x-amz-checksum-mode": "ENABLED" } });
    expect(head.headers[header]).toBe(value);
    const wrong = await world.put(bucket, "other", "12345678", { [header]: value });
    expect([wrong.status, wrong.code]).toEqual([400, "BadDigest"]);
    expect((await world.get(bucket, "other")).status).toBe(404);
  });

  it("two checksums: 400", async () => {
    const bucket = await world.bucket();
    const headers = { "x-amz-checksum-crc32": "y/Q5Jg==", "x-amz-checksum-crc32c": "4waSgw==" };
    expect((await world.put(bucket, "k", "123456789", headers)).status).toBe(400);
  });

  it("Content-MD5 of other bytes: BadDigest; of no form: InvalidDigest", async () => {
    const bucket = await world.bucket();
    const of = (text: string) => createHash("md5").update(text).digest("base64");
    expect((await world.put(bucket, "k", "a", { "content-md5": of("a") })).status).toBe(200);
    expect((await world.put(bucket, "k", "b", { "content-md5": of("a") })).code).toBe("BadDigest");
    expect((await world.put(bucket, "k", "b", { "content-md5": "xyz" })).code).toBe("InvalidDigest");
    expect((await world.get(bucket, "k")).text).toBe("a");
  });
});

describe("rule 19: response overrides", () => {
  const query = "response-content-type=text%2Fx&response-content-disposition=inline&response-cache-control=none";

  it("signed: the headers that the query asks for, also on ranges", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "hello", { "content-type": "text/plain" });
    const expected = { "content-type": "text/x", "content-disposition": "inline", "cache-control": "none" };
    expect((await world.get(bucket, "k", {}, query)).headers).toMatchObject(expected);
    const range = await world.get(bucket, "k", { range: "bytes=1-2" }, query);
    expect([range.status, range.text]).toEqual([206, "el"]);
    expect(range.headers).toMatchObject(expected);
  });

  it("unsigned: InvalidRequest, though the object is public", async () => {
    const bucket = await world.bucket({ acls: true });
    await world.put(bucket, "k", "hello", { "x-amz-acl": "public-read" });
    const plain = await world.send(bucket, "k", { as: null });
    expect([plain.status, plain.text]).toEqual([200, "hello"]);
    const refused = await world.send(bucket, "k", { as: null, query });
    expect([refused.status, refused.code]).toEqual([400, "InvalidRequest"]);
  });

  it("CRLF in echoed headers: refused", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "hello");
    const got = await world.get(bucket, "k", {}, "response-content-type=a%0D%0Aset-cookie:%20x");
    expect([got.status, got.code]).toEqual([400, "InvalidArgument"]);
    expect(got.headers["set-cookie"]).toBeUndefined();
  });
});

describe("SSE answered but not done", () => {
  it.each([
    ["x-amz-server-side-encryption", "AES256"],
    ["x-amz-server-side-encryption", "aws:kms"],
    ["x-amz-server-side-encryption-aws-kms-key-id", "k"],
    ["x-amz-server-side-encryption-customer-algorithm", "AES256"],
    ["x-amz-server-side-encryption-bucket-key-enabled", "true"],
  ])("PUT with %s: %s: 501, and nothing is stored in the clear", async (name, value) => {
    const bucket = await world.bucket();
    const put = await world.put(bucket, "k", "secret", { [name]: value });
    expect([put.status, put.code]).toEqual([501, "NotImplemented"]);
    expect((await world.get(bucket, "k")).status).toBe(404);
    const upload = await world.send(bucket, "k", { method: "POST", query: "uploads", headers: { [name]: value } });
    expect([upload.status, upload.code]).toEqual([501, "NotImplemented"]);
  });

  it("GET with a customer's key: 501", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    const headers = { "x-amz-server-side-encryption-customer-algorithm": "AES256" };
    expect((await world.get(bucket, "k", headers)).status).toBe(501);
    expect((await world.send(bucket, "k", { method: "HEAD", headers })).status).toBe(501);
  });

  it("an append: 501, and the object is as it was", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    expect((await world.put(bucket, "k", "y", { "x-amz-write-offset-bytes": "1" })).status).toBe(501);
    expect((await world.get(bucket, "k")).text).toBe("x");
  });
});
