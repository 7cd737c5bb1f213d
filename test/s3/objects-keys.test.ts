import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rawRequest } from "./exact-request.js";
import { texts, useWorld } from "./s3-world.js";

const world = useWorld();

describe("rule 28: keys", () => {
  it.each([
    "a",
    "/leading",
    "trailing/",
    "a//b",
    "//",
    ".",
    "..",
    "a/./b",
    "a/../b",
    "../../etc/passwd",
    "%41",
    "a%2Fb",
    "a+b c",
    "ключ/鍵/\u{1f600}",
    "é",
    "e\u0301",
    "\u0001\u001f",
    "a\nb\r\tc",
    "'()*!&$@=;:,?#[]",
    "<&>\"'",
    "\\back\\slash",
    "versionId=1",
    "__proto__",
    "x".repeat(1024),
    "é".repeat(512),
    "a/".repeat(512),
  ])("%j: stored, read, listed and deleted under exactly that name", async (key) => {
    const bucket = await world.bucket();
    expect((await world.put(bucket, key, `body of ${key}`)).status).toBe(200);
    expect((await world.get(bucket, key)).text).toBe(`body of ${key}`);
    const listed = await world.send(bucket, undefined, { query: "list-type=2&encoding-type=url" });
    expect(texts(listed.xml(), "Contents/Key").map(decodeURIComponent)).toEqual([key]);
    expect((await world.send(bucket, key, { method: "DELETE" })).status).toBe(204);
    expect((await world.get(bucket, key)).status).toBe(404);
  });

  it("more than 1,024 bytes: KeyTooLongError, also where they are few characters", async () => {
    const bucket = await world.bucket();
    for (const key of ["x".repeat(1025), "é".repeat(513), `${"\u{1f600}".repeat(256)}x`]) {
      const put = await world.put(bucket, key, "x");
      expect([put.status, put.code]).toEqual([400, "KeyTooLongError"]);
    }
  });

  it("bytes that are no UTF-8, and broken escapes: 400, and nothing is stored", async () => {
    const bucket = await world.bucket();
    for (const raw of ["%ff", "a%c3", "%zz", "%", "a%2", "%ed%a0%80", "%c0%ae"]) {
      const put = await rawRequest(world.server, { method: "PUT", target: `/${bucket}/${raw}`, body: "x", as: null });
      expect(put.status).toBe(400);
    }
    const listed = await world.send(bucket, undefined, { query: "list-type=2" });
    expect(texts(listed.xml(), "Contents/Key")).toEqual([]);
  });

  it("path traversal by key: a key with dots reaches neither another bucket nor a file", async () => {
    const [bucket, other] = [await world.bucket(), await world.bucket()];
    await world.put(other, "k", "secret");
    for (const target of [`/${bucket}/../${other}/k`, `/${bucket}/%2e%2e/${other}/k`, `/${bucket}/..%2F${other}%2Fk`]) {
      const got = await rawRequest(world.server, { target });
      expect(got.text).not.toContain("secret");
      expect(got.status).not.toBe(200);
    }
  });

  it("any key: read back", async () => {
    const bucket = await world.bucket();
    const key = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
      .filter((text) => Buffer.from(text, "utf8").toString("utf8") === text);
    await fc.assert(
      fc.asyncProperty(key, fc.uint8Array({ maxLength: 100 }), async (name, bytes) => {
        expect((await world.put(bucket, name, Buffer.from(bytes))).status).toBe(200);
        expect((await world.get(bucket, name)).bytes.equals(Buffer.from(bytes))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe("rule 31: subresources", () => {
  it.each(["unknown", "website", "torrent", "restore", "encryption", "nothing=1"])(
    "PUT with ?%s never falls through to PutObject",
    async (query) => {
      const bucket = await world.bucket();
      const put = await world.send(bucket, "k", { method: "PUT", query, body: "x" });
      expect([501, 405]).toContain(put.status);
      expect((await world.get(bucket, "k")).status).toBe(404);
    },
  );

  it.each([
    ["GET", "torrent", "GetObjectTorrent"],
    ["POST", "select&select-type=2", "SelectObjectContent"],
    ["POST", "restore", "RestoreObject"],
  ])("%s ?%s: 501 with the operation's name", async (method, query, name) => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    const answer = await world.send(bucket, "k", { method, query });
    expect([answer.status, answer.code]).toEqual([501, "NotImplemented"]);
    expect(answer.text).toContain(name);
  });
});
