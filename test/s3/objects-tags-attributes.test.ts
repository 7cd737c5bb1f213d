import { describe, expect, it } from "vitest";
import type { RawAnswer } from "./exact-request.js";
import { order, text, texts, useWorld } from "./s3-world.js";

const world = useWorld();
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);

function tagging(...tags: [string, string][]): string {
  const set = tags.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`);
  return `<Tagging><TagSet>${set.join("")}</TagSet></Tagging>`;
}

describe("object tagging", () => {
  const tagsOf = async (bucket: string, query = "tagging") => {
    const xml = (await world.send(bucket, "k", { query })).xml();
    return texts(xml, "TagSet/Tag/Key").map((key, i) => [key, texts(xml, "TagSet/Tag/Value")[i]]);
  };
  const set = (bucket: string, body: string, query = "tagging") =>
    world.send(bucket, "k", { method: "PUT", query, body });

  it("none: an empty set; put, got, counted, replaced, deleted", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    expect(await tagsOf(bucket)).toEqual([]);
    expect(outcome(await set(bucket, tagging(["a", "1"], ["b c", "ü"])))).toBe("200");
    expect(await tagsOf(bucket)).toEqual([
      ["a", "1"],
      ["b c", "ü"],
    ]);
    expect((await world.get(bucket, "k")).headers["x-amz-tagging-count"]).toBe("2");
    await set(bucket, tagging(["z", ""]));
    expect(await tagsOf(bucket)).toEqual([["z", ""]]);
    expect(outcome(await world.send(bucket, "k", { method: "DELETE", query: "tagging" }))).toBe("204");
    expect(await tagsOf(bucket)).toEqual([]);
    expect((await world.get(bucket, "k")).headers["x-amz-tagging-count"]).toBeUndefined();
  });

  it("by x-amz-tagging, URL encoded; the object's bytes and date stay when tags change", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x", { "x-amz-tagging": "a=1&b%20c=%C3%BC&d" });
    expect(await tagsOf(bucket)).toEqual([
      ["a", "1"],
      ["b c", "ü"],
      ["d", ""],
    ]);
    const before = await world.get(bucket, "k");
    await set(bucket, tagging(["a", "2"]));
    const after = await world.get(bucket, "k");
    expect([after.text, after.headers.etag]).toEqual(["x", before.headers.etag]);
    expect(after.headers["last-modified"]).toBe(before.headers["last-modified"]);
  });

  it("what tags may not be: 400, and they stay as they were", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x", { "x-amz-tagging": "a=1" });
    const eleven = Array.from({ length: 11 }, (_none, i): [string, string] => [`k${i}`, "v"]);
    for (const body of [
      tagging(...eleven),
      tagging(["a", "1"], ["a", "2"]),
      tagging(["aws:x", "1"]),
      tagging(["x".repeat(129), "1"]),
      tagging(["x", "1".repeat(257)]),
      tagging(["", "1"]),
      "<Tagging/>",
      "",
      "<Other/>",
    ]) {
      expect((await set(bucket, body)).status).toBe(400);
    }
    expect(await tagsOf(bucket)).toEqual([["a", "1"]]);
    expect((await world.put(bucket, "k2", "x", { "x-amz-tagging": "a=1&a=2" })).status).toBe(400);
    expect((await world.get(bucket, "k2")).status).toBe(404);
  });

  it("of a version: that one's alone, and its id is told", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const first = String((await world.put(bucket, "k", "1", { "x-amz-tagging": "v=1" })).headers["x-amz-version-id"]);
    const second = String((await world.put(bucket, "k", "2")).headers["x-amz-version-id"]);
    expect(await tagsOf(bucket, `tagging&versionId=${first}`)).toEqual([["v", "1"]]);
    expect(await tagsOf(bucket)).toEqual([]);
    const changed = await set(bucket, tagging(["v", "one"]), `tagging&versionId=${first}`);
    expect(changed.headers["x-amz-version-id"]).toBe(first);
    expect(await tagsOf(bucket, `tagging&versionId=${first}`)).toEqual([["v", "one"]]);
    expect((await set(bucket, tagging(["v", "two"]))).headers["x-amz-version-id"]).toBe(second);
  });

  it("of a delete marker: MethodNotAllowed, also where it is the current version", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    await world.put(bucket, "k", "x");
    const marker = (await world.send(bucket, "k", { method: "DELETE" })).headers["x-amz-version-id"];
    for (const query of ["tagging", `tagging&versionId=${marker}`]) {
      const got = await world.send(bucket, "k", { query });
      expect([outcome(got), text(got, "ResourceType")]).toEqual(["405 MethodNotAllowed", "DeleteMarker"]);
      expect(outcome(await set(bucket, tagging(["a", "1"]), query))).toBe("405 MethodNotAllowed");
    }
  });

  it("of what is not there: NoSuchKey", async () => {
    const bucket = await world.bucket();
    expect(outcome(await set(bucket, tagging(["a", "1"])))).toBe("404 NoSuchKey");
    expect(outcome(await world.send(bucket, "k", { query: "tagging" }))).toBe("404 NoSuchKey");
    expect(outcome(await world.send(bucket, "k", { method: "DELETE", query: "tagging" }))).toBe("404 NoSuchKey");
  });
});

describe("GetObjectAttributes", () => {
  const ask = (bucket: string, attributes: string | undefined, query = "attributes") =>
    world.send(bucket, "k", {
      query,
      headers: attributes === undefined ? {} : { "x-amz-object-attributes": attributes },
    });

  it("what is asked for, in S3's order, the ETag without quotes", async () => {
    const bucket = await world.bucket();
    const { etag = "" } = (await world.put(bucket, "k", "123456789")).headers;
    const all = await ask(bucket, "ObjectSize,StorageClass,Checksum,ETag,ObjectParts");
    expect(all.headers["last-modified"]).toBeDefined();
    expect(order(all.xml())).toEqual(["ETag", "Checksum", "StorageClass", "ObjectSize"]);
    expect([text(all, "ETag"), text(all, "ObjectSize"), text(all, "StorageClass")]).toEqual([
      ...[etag.replaceAll('"', ""), "9", "STANDARD"],
    ]);
    expect(texts(all.xml(), "Checksum/ChecksumCRC64NVME")).toEqual(["rosUhgp5mIg="]);
    expect(texts(all.xml(), "Checksum/ChecksumType")).toEqual(["FULL_OBJECT"]);
    expect(order((await ask(bucket, "ObjectSize")).xml())).toEqual(["ObjectSize"]);
  });

  it("none asked for: InvalidRequest; one that S3 does not have: InvalidArgument", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    expect(outcome(await ask(bucket, undefined))).toBe("400 InvalidRequest");
    expect(outcome(await ask(bucket, "ETag,Colour"))).toBe("400 InvalidArgument");
  });

  it("a version, a delete marker, and what is not there", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const version = String((await world.put(bucket, "k", "12")).headers["x-amz-version-id"]);
    const marker = (await world.send(bucket, "k", { method: "DELETE" })).headers["x-amz-version-id"];
    const got = await ask(bucket, "ObjectSize", `attributes&versionId=${version}`);
    expect([text(got, "ObjectSize"), got.headers["x-amz-version-id"]]).toEqual(["2", version]);
    const gone = await ask(bucket, "ObjectSize");
    expect([outcome(gone), gone.headers["x-amz-delete-marker"]]).toEqual(["404 NoSuchKey", "true"]);
    expect(outcome(await ask(bucket, "ObjectSize", `attributes&versionId=${marker}`))).toBe("405 MethodNotAllowed");
  });
});
