import { createHash } from "node:crypto";
import { DeleteObjectsCommand } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import type { RawAnswer } from "./exact-request.js";
import { text, texts, useWorld } from "./s3-world.js";

const world = useWorld();

const remove = (bucket: string, key: string, query?: string) =>
  world.send(bucket, key, { method: "DELETE", ...(query === undefined ? {} : { query }) });

function removeMany(bucket: string, body: string, headers: Record<string, string> = {}): Promise<RawAnswer> {
  const md5 = createHash("md5").update(body).digest("base64");
  return world.send(bucket, undefined, {
    method: "POST",
    query: "delete",
    body,
    headers: { "content-md5": md5, ...headers },
  });
}

describe("rule 29: DeleteObject", () => {
  it("a key that is there, and one that is not: 204 without a body", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    for (const _time of [1, 2]) {
      const { status, text: body, headers } = await remove(bucket, "k");
      expect([status, body]).toEqual([204, ""]);
      expect(headers["x-amz-delete-marker"]).toBeUndefined();
      expect(headers["x-amz-version-id"]).toBeUndefined();
    }
    expect((await world.get(bucket, "k")).status).toBe(404);
  });

  it("versioned: a delete marker with its own version, also of a key that never was", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    await world.put(bucket, "k", "x");
    for (const key of ["k", "never"]) {
      const { status, headers } = await remove(bucket, key);
      expect([status, headers["x-amz-delete-marker"]]).toEqual([204, "true"]);
      expect(headers["x-amz-version-id"]).toMatch(/^.{3,}$/);
      expect(headers["x-amz-version-id"]).not.toBe("null");
    }
  });

  it("a delete marker: 404 without a version, 405 with its own; both name it", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    await world.put(bucket, "k", "x");
    const marker = (await remove(bucket, "k")).headers["x-amz-version-id"];
    for (const method of ["GET", "HEAD"]) {
      const gone = await world.send(bucket, "k", { method });
      expect([gone.status, gone.headers["x-amz-delete-marker"]]).toEqual([404, "true"]);
      expect(gone.headers["x-amz-version-id"]).toBe(marker);
      const asked = await world.send(bucket, "k", { method, query: `versionId=${marker}` });
      expect([asked.status, asked.headers["x-amz-delete-marker"]]).toEqual([405, "true"]);
      expect(asked.headers["last-modified"]).toBeDefined();
      expect(asked.headers.allow).toBe("DELETE");
    }
    const removed = await remove(bucket, "k", `versionId=${marker}`);
    expect([removed.status, removed.headers["x-amz-delete-marker"]]).toEqual([204, "true"]);
    expect(removed.headers["x-amz-version-id"]).toBe(marker);
    expect((await world.get(bucket, "k")).text).toBe("x");
  });

  it("a version: gone for good, its id told; others stay", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const first = (await world.put(bucket, "k", "1")).headers["x-amz-version-id"];
    await world.put(bucket, "k", "2");
    const removed = await remove(bucket, "k", `versionId=${first}`);
    expect([removed.status, removed.headers["x-amz-version-id"]]).toEqual([204, first]);
    expect(removed.headers["x-amz-delete-marker"]).toBeUndefined();
    const missing = await world.get(bucket, "k", {}, `versionId=${first}`);
    expect([missing.status, missing.code]).toEqual([404, "NoSuchVersion"]);
    expect(missing.text).toContain(`<VersionId>${first}</VersionId>`);
    expect((await world.get(bucket, "k")).text).toBe("2");
  });

  it("what was never a version's id: InvalidArgument, in bulk NoSuchVersion of that key", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    await world.put(bucket, "k", "1");
    const removed = await remove(bucket, "k", "versionId=nonsense");
    expect([removed.status, removed.code, text(removed, "ArgumentValue")]).toEqual([
      400,
      "InvalidArgument",
      "nonsense",
    ]);
    expect((await world.get(bucket, "k", {}, "versionId=nonsense")).code).toBe("InvalidArgument");
    const body = "<Delete><Object><Key>k</Key><VersionId>nonsense</VersionId></Object></Delete>";
    expect(texts((await removeMany(bucket, body)).xml(), "Error/Code")).toEqual(["NoSuchVersion"]);
    expect((await world.get(bucket, "k")).text).toBe("1");
  });

  it("an empty versionId: InvalidArgument", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    await world.put(bucket, "k", "1");
    expect((await remove(bucket, "k", "versionId=")).code).toBe("InvalidArgument");
    expect((await world.get(bucket, "k", {}, "versionId=")).code).toBe("InvalidArgument");
  });
});

describe("DeleteObjects", () => {
  it("keys that are there and that are not: all deleted; quiet: only errors are told", async () => {
    const bucket = await world.bucket();
    for (const key of ["a", "b & c"]) await world.put(bucket, key, "x");
    const body =
      "<Delete><Object><Key>a</Key></Object><Object><Key>b &amp; c</Key></Object><Object><Key>no</Key></Object></Delete>";
    const answer = await removeMany(bucket, body);
    expect(answer.text).toContain('<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">');
    expect(texts(answer.xml(), "Deleted/Key")).toEqual(["a", "b & c", "no"]);
    expect((await world.get(bucket, "a")).status).toBe(404);
    const quiet = await removeMany(bucket, "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>");
    expect(quiet.xml().children).toEqual([]);
  });

  it("rule 30: with a namespace and without; a DTD, an entity, another root: MalformedXML", async () => {
    const bucket = await world.bucket();
    const object = "<Object><Key>a</Key></Object>";
    const spaced = `<?xml version="1.0"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${object}</Delete>`;
    expect((await removeMany(bucket, spaced)).status).toBe(200);
    for (const body of [
      `<!DOCTYPE d [<!ENTITY x "a">]><Delete><Object><Key>&x;</Key></Object></Delete>`,
      `<Delete><Object><Key>&x;</Key></Object></Delete>`,
      `<Other>${object}</Other>`,
      "<Delete></Delete>",
      "<Delete><Object></Object></Delete>",
      `<Delete>${object}`,
      `<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>`,
    ]) {
      const answer = await removeMany(bucket, body);
      expect([answer.status, answer.code]).toEqual([400, "MalformedXML"]);
    }
  });

  it("1,000 keys at once; 1,001: MalformedXML", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k7", "x");
    const body = (count: number) => {
      const objects = Array.from({ length: count }, (_none, i) => `<Object><Key>k${i}</Key></Object>`);
      return `<Delete>${objects.join("")}</Delete>`;
    };
    expect(texts((await removeMany(bucket, body(1000))).xml(), "Deleted/Key")).toHaveLength(1000);
    expect((await world.get(bucket, "k7")).status).toBe(404);
    expect((await removeMany(bucket, body(1001))).code).toBe("MalformedXML");
  });

  it("neither Content-MD5 nor a checksum: InvalidRequest; a wrong one: BadDigest", async () => {
    const bucket = await world.bucket();
    const body = "<Delete><Object><Key>a</Key></Object></Delete>";
    const bare = await world.send(bucket, undefined, { method: "POST", query: "delete", body });
    expect([bare.status, bare.code]).toEqual([400, "InvalidRequest"]);
    const md5 = createHash("md5").update("other").digest("base64");
    expect((await removeMany(bucket, body, { "content-md5": md5 })).code).toBe("BadDigest");
  });

  it("versioned: markers made and versions removed, each told", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const version = (await world.put(bucket, "a", "1")).headers["x-amz-version-id"];
    await world.put(bucket, "b", "1");
    const body = `<Delete><Object><Key>a</Key><VersionId>${version}</VersionId></Object><Object><Key>b</Key></Object></Delete>`;
    const xml = (await removeMany(bucket, body)).xml();
    expect(texts(xml, "Deleted/VersionId")).toEqual([version]);
    expect(texts(xml, "Deleted/DeleteMarker")).toEqual(["true"]);
    const [marker] = texts(xml, "Deleted/DeleteMarkerVersionId");
    const again = `<Delete><Object><Key>b</Key><VersionId>${marker}</VersionId></Object></Delete>`;
    const second = (await removeMany(bucket, again)).xml();
    expect(texts(second, "Deleted/DeleteMarkerVersionId")).toEqual([marker]);
    expect((await world.get(bucket, "b")).text).toBe("1");
  });

  it("rule 16: conditions of each object on its own", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "a", "1")).headers.etag ?? "";
    await world.put(bucket, "b", "12");
    const body =
      `<Delete><Object><Key>a</Key><ETag>${etag}</ETag></Object><Object><Key>b</Key><ETag>"x"</ETag></Object>` +
      `<Object><Key>b</Key><Size>3</Size></Object><Object><Key>none</Key><ETag>*</ETag></Object></Delete>`;
    const xml = (await removeMany(bucket, body)).xml();
    expect(texts(xml, "Deleted/Key")).toEqual(["a"]);
    expect(texts(xml, "Error/Key")).toEqual(["b", "b", "none"]);
    expect(texts(xml, "Error/Code")).toEqual(["PreconditionFailed", "PreconditionFailed", "NoSuchKey"]);
    expect((await world.get(bucket, "b")).text).toBe("12");
  });

  it("a key that is too long: that key's error alone", async () => {
    const bucket = await world.bucket();
    const body = `<Delete><Object><Key>${"x".repeat(1025)}</Key></Object><Object><Key>a</Key></Object></Delete>`;
    const xml = (await removeMany(bucket, body)).xml();
    expect(texts(xml, "Error/Code")).toEqual(["KeyTooLongError"]);
    expect(texts(xml, "Deleted/Key")).toEqual(["a"]);
  });

  it("with the AWS SDK", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "1");
    const command = new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [{ Key: "a" }, { Key: "b" }] } });
    const { Deleted, Errors } = await world.sdk.send(command);
    expect(Deleted?.map(({ Key }) => Key)).toEqual(["a", "b"]);
    expect(Errors).toBeUndefined();
  });

  it("an unknown child of Delete: MalformedXML, and nothing is deleted", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "1");
    const body = "<Delete><Object><Key>a</Key></Object><Everything/></Delete>";
    const answer = await removeMany(bucket, body);
    expect(answer.code).toBe("MalformedXML");
    expect(text(answer, "Code")).toBe("MalformedXML");
    expect((await world.get(bucket, "a")).text).toBe("1");
  });
});
