import { ListObjectsCommand, ListObjectsV2Command, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import { uriEncode } from "./exact-request.js";
import { order, text, texts, useWorld } from "./s3-world.js";

const world = useWorld();

async function bucketOf(keys: readonly string[]): Promise<string> {
  const bucket = await world.bucket();
  for (const key of keys) expect((await world.put(bucket, key, key)).status).toBe(200);
  return bucket;
}

const queryOf = (parameters: Record<string, string>) =>
  Object.entries(parameters)
    .map(([name, value]) => `${name}=${uriEncode(value)}`)
    .join("&");
const list = (bucket: string, parameters: Record<string, string> = {}) =>
  world.send(bucket, undefined, { query: queryOf({ "list-type": "2", ...parameters }) });
const listV1 = (bucket: string, parameters: Record<string, string> = {}) =>
  world.send(bucket, undefined, { query: queryOf({ prefix: "", ...parameters }) });

describe("ListObjectsV2", () => {
  it("an empty bucket: the elements in S3's order, in its namespace", async () => {
    const answer = await list(await world.bucket());
    expect(answer.headers["content-type"]).toBe("application/xml");
    expect(answer.text).toContain('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">');
    expect(order(answer.xml())).toEqual(["Name", "Prefix", "KeyCount", "MaxKeys", "IsTruncated"]);
    expect([text(answer, "KeyCount"), text(answer, "MaxKeys"), text(answer, "IsTruncated")]).toEqual([
      ...["0", "1000", "false"],
    ]);
  });

  it("a key: its elements, with the owner only where it is asked for", async () => {
    const bucket = await bucketOf(["k"]);
    const [contents] = (await list(bucket)).xml().children.filter(({ name }) => name === "Contents");
    const elements = ["Key", "LastModified", "ETag", "ChecksumAlgorithm", "ChecksumType", "Size", "StorageClass"];
    expect(contents && order(contents)).toEqual(elements);
    const owned = (await list(bucket, { "fetch-owner": "true" })).xml();
    expect(texts(owned, "Contents/Owner/ID")[0]).not.toBe("");
    expect(texts(owned, "Contents/Owner/DisplayName")).toEqual(["root"]);
    expect(texts(owned, "Contents/ETag")[0]).toMatch(/^"[0-9a-f]{32}"$/);
    expect(texts(owned, "Contents/LastModified")[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it("rule 20: keys in the order of their UTF-8 bytes, not of JavaScript's strings", async () => {
    const keys = ["\uffee", "\u{1f600}", "a", "é", "B", "0", "~"];
    const bucket = await bucketOf(keys);
    const byBytes = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(texts((await list(bucket)).xml(), "Contents/Key")).toEqual(byBytes);
    expect(byBytes).not.toEqual([...keys].sort());
  });

  it("rule 22: pages of two by token; each key once; the token beats start-after", async () => {
    const keys = ["a", "b", "c/1", "c/2", "d"];
    const bucket = await bucketOf(keys);
    const seen: string[] = [];
    let token: string | undefined;
    for (;;) {
      const page = await list(bucket, {
        "max-keys": "2",
        "start-after": token === undefined ? "" : "zzz",
        ...(token === undefined ? {} : { "continuation-token": token }),
      });
      seen.push(...texts(page.xml(), "Contents/Key"));
      expect(text(page, "ContinuationToken")).toBe(token);
      token = text(page, "NextContinuationToken");
      expect(text(page, "IsTruncated")).toBe(String(token !== undefined));
      if (token === undefined) break;
    }
    expect(seen).toEqual(keys);
  });

  it("rule 22: an empty token, and one that was never given out: InvalidArgument", async () => {
    const bucket = await bucketOf(["a"]);
    for (const token of ["", "x"]) {
      const answer = await list(bucket, { "continuation-token": token });
      expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
    }
  });

  it("rule 22: max-keys 0, over 1,000, negative and no number", async () => {
    const bucket = await bucketOf(["a", "b"]);
    const none = await list(bucket, { "max-keys": "0" });
    expect([text(none, "KeyCount"), text(none, "IsTruncated"), text(none, "MaxKeys")]).toEqual(["0", "false", "0"]);
    const many = await list(bucket, { "max-keys": "5000" });
    expect([text(many, "KeyCount"), text(many, "MaxKeys")]).toEqual(["2", "1000"]);
    for (const wrong of ["-1", "abc", "2147483648"]) {
      expect((await list(bucket, { "max-keys": wrong })).code).toBe("InvalidArgument");
    }
  });

  it("rule 22: common prefixes count as keys do", async () => {
    const bucket = await bucketOf(["a/1", "a/2", "b/1", "c", "d/1"]);
    const first = await list(bucket, { delimiter: "/", "max-keys": "3" });
    expect(texts(first.xml(), "CommonPrefixes/Prefix")).toEqual(["a/", "b/"]);
    expect(texts(first.xml(), "Contents/Key")).toEqual(["c"]);
    expect([text(first, "KeyCount"), text(first, "IsTruncated")]).toEqual(["3", "true"]);
    const token = text(first, "NextContinuationToken") ?? "";
    const second = await list(bucket, { delimiter: "/", "max-keys": "3", "continuation-token": token });
    expect(texts(second.xml(), "CommonPrefixes/Prefix")).toEqual(["d/"]);
    expect(text(second, "IsTruncated")).toBe("false");
  });

  it("rule 22: a page that ends in a common prefix goes on behind all that is under it", async () => {
    const bucket = await bucketOf(["a/1", "a/2", "b"]);
    const first = await list(bucket, { delimiter: "/", "max-keys": "1" });
    expect(texts(first.xml(), "CommonPrefixes/Prefix")).toEqual(["a/"]);
    const token = text(first, "NextContinuationToken") ?? "";
    const second = await list(bucket, { delimiter: "/", "continuation-token": token });
    expect(texts(second.xml(), "Contents/Key")).toEqual(["b"]);
    expect(texts(second.xml(), "CommonPrefixes/Prefix")).toEqual([]);
  });

  it("rule 21: delimiters of any length, and prefixes with them", async () => {
    const bucket = await bucketOf(["a--b--c", "a--b--d", "a-x", "b"]);
    const whole = (await list(bucket, { delimiter: "--" })).xml();
    expect(texts(whole, "CommonPrefixes/Prefix")).toEqual(["a--"]);
    expect(texts(whole, "Contents/Key")).toEqual(["a-x", "b"]);
    const under = (await list(bucket, { delimiter: "--", prefix: "a--" })).xml();
    expect(texts(under, "CommonPrefixes/Prefix")).toEqual(["a--b--"]);
    const part = (await list(bucket, { delimiter: "--", prefix: "a-" })).xml();
    // The delimiter is looked for behind the prefix.
    expect(texts(part, "CommonPrefixes/Prefix")).toEqual(["a--b--"]);
    expect(texts(part, "Contents/Key")).toEqual(["a-x"]);
  });

  it("rule 21: encoding-type=url covers keys, prefixes, delimiter and start-after, not the token", async () => {
    const keys = ["asdf+b", "foo+1/bar", "foo/bar/xyzzy", "quux ab/thud", "\u0001/x"];
    const bucket = await bucketOf(keys);
    const page = await list(bucket, { "encoding-type": "url", delimiter: "/", "start-after": " +" });
    const xml = page.xml();
    expect(text(page, "EncodingType")).toBe("url");
    expect(texts(xml, "Contents/Key")).toEqual(["asdf%2Bb"]);
    expect(texts(xml, "CommonPrefixes/Prefix")).toEqual(["foo%2B1/", "foo/", "quux%20ab/"]);
    expect(text(page, "StartAfter")).toBe("%20%2B");
    const prefixed = await list(bucket, { "encoding-type": "url", prefix: "quux ", "max-keys": "1" });
    expect(text(prefixed, "Prefix")).toBe("quux%20");
    for (const wrong of ["base64", ""]) {
      expect((await list(bucket, { "encoding-type": wrong })).code).toBe("InvalidArgument");
    }
    const control = await list(bucket, { "encoding-type": "url", "max-keys": "1" });
    expect(texts(control.xml(), "Contents/Key")).toEqual(["%01/x"]);
    const token = text(control, "NextContinuationToken") ?? "";
    const rest = await list(bucket, { "encoding-type": "url", "continuation-token": token });
    expect(texts(rest.xml(), "Contents/Key")).toHaveLength(4);
  });

  it("start-after: keys behind it, whether it is there or not", async () => {
    const bucket = await bucketOf(["a", "b", "c"]);
    expect(texts((await list(bucket, { "start-after": "a" })).xml(), "Contents/Key")).toEqual(["b", "c"]);
    expect(texts((await list(bucket, { "start-after": "aa" })).xml(), "Contents/Key")).toEqual(["b", "c"]);
    expect(texts((await list(bucket, { "start-after": "z" })).xml(), "Contents/Key")).toEqual([]);
  });

  it("rule 24: deleted keys and older versions are not in it", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    for (const body of ["1", "2"]) await world.put(bucket, "a", body);
    await world.put(bucket, "b", "1");
    await world.send(bucket, "b", { method: "DELETE" });
    expect(texts((await list(bucket)).xml(), "Contents/Key")).toEqual(["a"]);
  });

  it("rule 31: an unknown subresource, and an unknown list-type, are no listing", async () => {
    const bucket = await bucketOf(["a"]);
    const unknown = await world.send(bucket, undefined, { query: "nothingknown" });
    expect([unknown.status, unknown.code]).toEqual([501, "NotImplemented"]);
  });

  it("with the AWS SDK: every key of 2,350, over pages of 1,000", async () => {
    const bucket = await world.bucket();
    const keys = Array.from({ length: 2350 }, (_none, i) => `k/${String(i).padStart(5, "0")}`);
    for (let from = 0; from < keys.length; from += 50) {
      await Promise.all(keys.slice(from, from + 50).map((key) => world.put(bucket, key, "")));
    }
    const seen: string[] = [];
    let pages = 0;
    for await (const page of paginateListObjectsV2({ client: world.sdk }, { Bucket: bucket })) {
      pages++;
      seen.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ""));
    }
    expect(seen).toEqual(keys);
    expect(pages).toBe(3);
    const folders = await world.sdk.send(new ListObjectsV2Command({ Bucket: bucket, Delimiter: "/" }));
    expect(folders.CommonPrefixes).toEqual([{ Prefix: "k/" }]);
    expect([folders.KeyCount, folders.IsTruncated]).toEqual([1, false]);
  });
});

describe("ListObjects", () => {
  it("elements in S3's order, with an owner each", async () => {
    const answer = await listV1(await bucketOf(["k"]));
    expect(order(answer.xml())).toEqual(["Name", "Prefix", "Marker", "MaxKeys", "IsTruncated", "Contents"]);
    expect(texts(answer.xml(), "Contents/Owner/DisplayName")).toEqual(["root"]);
  });

  it("rule 22: NextMarker only with a delimiter, and it may be a common prefix", async () => {
    const bucket = await bucketOf(["a/1", "a/2", "b", "c"]);
    const plain = await listV1(bucket, { "max-keys": "1" });
    expect([text(plain, "IsTruncated"), text(plain, "NextMarker")]).toEqual(["true", undefined]);
    const first = await listV1(bucket, { delimiter: "/", "max-keys": "1" });
    expect(text(first, "NextMarker")).toBe("a/");
    const second = await listV1(bucket, { delimiter: "/", "max-keys": "1", marker: "a/" });
    expect(texts(second.xml(), "Contents/Key")).toEqual(["b"]);
    expect([text(second, "Marker"), text(second, "NextMarker")]).toEqual(["a/", "b"]);
    const last = await listV1(bucket, { delimiter: "/", marker: "b" });
    expect([text(last, "IsTruncated"), text(last, "NextMarker")]).toEqual(["false", undefined]);
  });

  it("rule 21: encoding-type=url covers Marker and NextMarker", async () => {
    const bucket = await bucketOf(["a b/1", "a b/2", "c d"]);
    const page = await listV1(bucket, { "encoding-type": "url", delimiter: "/", "max-keys": "1", marker: " " });
    expect([text(page, "Marker"), text(page, "NextMarker")]).toEqual(["%20", "a%20b/"]);
  });

  it("with the AWS SDK: pages by marker", async () => {
    const bucket = await bucketOf(["a", "b", "c"]);
    const first = await world.sdk.send(new ListObjectsCommand({ Bucket: bucket, MaxKeys: 2 }));
    expect(first.Contents?.map(({ Key }) => Key)).toEqual(["a", "b"]);
    const rest = await world.sdk.send(new ListObjectsCommand({ Bucket: bucket, Marker: "b" }));
    expect(rest.Contents?.map(({ Key }) => Key)).toEqual(["c"]);
  });
});
