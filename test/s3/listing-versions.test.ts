import { describe, expect, it } from "vitest";
import { childrenOf, textOf } from "../../objectstore/xml/read.js";
import { uriEncode } from "./exact-request.js";
import { setVersioning, text, texts, useWorld } from "./s3-world.js";

const world = useWorld();

const list = (bucket: string, parameters: Record<string, string> = {}) => {
  const pairs = Object.entries(parameters).map(([name, value]) => `&${name}=${uriEncode(value)}`);
  return world.send(bucket, undefined, { query: `versions${pairs.join("")}` });
};

/** `key@version`, `*` for the latest, `!` for a delete marker. */
async function shown(bucket: string, parameters: Record<string, string> = {}): Promise<string[]> {
  const answer = await list(bucket, parameters);
  expect(answer.status).toBe(200);
  return answer
    .xml()
    .children.filter(({ name }) => name === "Version" || name === "DeleteMarker")
    .map((entry) => {
      const marks = (textOf(entry, "IsLatest") === "true" ? "*" : "") + (entry.name === "DeleteMarker" ? "!" : "");
      return `${textOf(entry, "Key")}@${textOf(entry, "VersionId")}${marks}`;
    });
}

async function put(bucket: string, key: string, body = ""): Promise<string> {
  return String((await world.put(bucket, key, body)).headers["x-amz-version-id"]);
}

async function remove(bucket: string, key: string): Promise<string> {
  return String((await world.send(bucket, key, { method: "DELETE" })).headers["x-amz-version-id"]);
}

describe("rule 24: ListObjectVersions", () => {
  it("newest first within a key, delete markers among the versions, keys in order", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const a1 = await put(bucket, "a");
    const b1 = await put(bucket, "b");
    const a2 = await put(bucket, "a");
    const gone = await remove(bucket, "a");
    const a3 = await put(bucket, "a");
    expect(await shown(bucket)).toEqual([`a@${a3}*`, `a@${gone}!`, `a@${a2}`, `a@${a1}`, `b@${b1}*`]);
  });

  it("the null version: of a bucket before its versioning, and while it is suspended", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "old");
    expect(await shown(bucket)).toEqual(["k@null*"]);
    await setVersioning(world, bucket, "Enabled");
    const v1 = await put(bucket, "k", "new");
    expect(await shown(bucket)).toEqual([`k@${v1}*`, "k@null"]);
    await setVersioning(world, bucket, "Suspended");
    // A PUT names no version while versioning is suspended; reads of it do.
    expect(await put(bucket, "k", "newest")).toBe("undefined");
    expect((await world.get(bucket, "k")).headers["x-amz-version-id"]).toBe("null");
    expect(await shown(bucket)).toEqual(["k@null*", `k@${v1}`]);
    expect((await world.get(bucket, "k", {}, `versionId=${v1}`)).text).toBe("new");
    expect(await remove(bucket, "k")).toBe("null");
    expect(await shown(bucket)).toEqual(["k@null*!", `k@${v1}`]);
  });

  it("pages by key marker and version marker together: each version once", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    for (const key of ["a", "a", "a", "b", "c", "c"]) await put(bucket, key);
    await remove(bucket, "b");
    const all = await shown(bucket);
    expect(all).toHaveLength(7);
    const seen: string[] = [];
    let markers: Record<string, string> = {};
    for (;;) {
      const page = await list(bucket, { "max-keys": "2", ...markers });
      seen.push(...(await shown(bucket, { "max-keys": "2", ...markers })));
      if (text(page, "IsTruncated") === "false") break;
      markers = {
        "key-marker": text(page, "NextKeyMarker") ?? "",
        "version-id-marker": text(page, "NextVersionIdMarker") ?? "",
      };
    }
    expect(seen).toEqual(all);
  });

  it("a key marker alone: behind all versions of that key; a version marker alone: InvalidArgument", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    await put(bucket, "a");
    const last = await put(bucket, "a");
    const b = await put(bucket, "b");
    expect(await shown(bucket, { "key-marker": "a" })).toEqual([`b@${b}*`]);
    expect((await list(bucket, { "version-id-marker": last })).code).toBe("InvalidArgument");
  });

  it("prefix and delimiter: common prefixes, over pages too", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    for (const key of ["a/1", "a/1", "a/2", "b", "c/1"]) await put(bucket, key);
    const page = (await list(bucket, { delimiter: "/" })).xml();
    expect(texts(page, "CommonPrefixes/Prefix")).toEqual(["a/", "c/"]);
    expect(texts(page, "Version/Key")).toEqual(["b"]);
    const first = await list(bucket, { delimiter: "/", "max-keys": "1" });
    expect([text(first, "NextKeyMarker"), text(first, "NextVersionIdMarker")]).toEqual(["a/", undefined]);
    const rest = (await list(bucket, { delimiter: "/", "key-marker": "a/" })).xml();
    expect(texts(rest, "CommonPrefixes/Prefix")).toEqual(["c/"]);
    expect(texts((await list(bucket, { prefix: "a/" })).xml(), "Version/Key")).toEqual(["a/1", "a/1", "a/2"]);
  });

  it("what a version has: size, ETag, owner, class; a marker has fewer", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    await put(bucket, "k", "hello");
    await remove(bucket, "k");
    const xml = (await list(bucket, { "encoding-type": "url" })).xml();
    const [version] = childrenOf(xml, "Version");
    const [marker] = childrenOf(xml, "DeleteMarker");
    const names = (element: typeof version) => element?.children.map(({ name }) => name);
    const checksum = ["ChecksumAlgorithm", "ChecksumType"];
    expect(names(version)).toEqual([
      ...["Key", "VersionId", "IsLatest", "LastModified", "ETag", ...checksum, "Size", "Owner", "StorageClass"],
    ]);
    expect(names(marker)).toEqual(["Key", "VersionId", "IsLatest", "LastModified", "Owner"]);
    expect(version && textOf(version, "Size")).toBe("5");
  });

  it("removing the newest version: the one before is the latest again", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const v1 = await put(bucket, "k", "1");
    const v2 = await put(bucket, "k", "2");
    const marker = await remove(bucket, "k");
    await world.send(bucket, "k", { method: "DELETE", query: `versionId=${marker}` });
    expect((await world.get(bucket, "k")).text).toBe("2");
    await world.send(bucket, "k", { method: "DELETE", query: `versionId=${v2}` });
    expect((await world.get(bucket, "k")).text).toBe("1");
    expect(await shown(bucket)).toEqual([`k@${v1}*`]);
  });
});
