import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ChecksumAlgorithm } from "../../src/model/object.js";
import { checksumOf } from "../../src/runtime/checksum/checksum.js";
import type { RawAnswer } from "./exact-request.js";
import { beginUpload, MIB } from "./multipart-world.js";
import { order, text, texts, useWorld } from "./s3-world.js";

const world = useWorld();
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);
const PARTS = [Buffer.alloc(5 * MIB, 1), Buffer.alloc(5 * MIB + 1, 2), Buffer.from("the last")] as const;
const WHOLE = Buffer.concat(PARTS);
const header = (algorithm: ChecksumAlgorithm) => `x-amz-checksum-${algorithm.toLowerCase()}`;
const element = (algorithm: ChecksumAlgorithm) => `Checksum${algorithm}`;

/** The documented rule for COMPOSITE, by hand: the hash of the parts' hashes, and their count. */
function composite(algorithm: ChecksumAlgorithm): string {
  const raw = Buffer.concat(PARTS.map((part) => Buffer.from(checksumOf(algorithm, part), "base64")));
  return `${checksumOf(algorithm, raw)}-${PARTS.length}`;
}

async function upload(algorithm: ChecksumAlgorithm, type: "FULL_OBJECT" | "COMPOSITE") {
  const bucket = await world.bucket();
  const begun = await beginUpload(world, bucket, "k", {
    "x-amz-checksum-algorithm": algorithm,
    "x-amz-checksum-type": type,
  });
  expect(begun.begun.headers["x-amz-checksum-algorithm"]).toBe(algorithm);
  expect(begun.begun.headers["x-amz-checksum-type"]).toBe(type);
  const parts: Record<number, string> = {};
  for (const [index, body] of PARTS.entries()) {
    const value = checksumOf(algorithm, body);
    const answer = await begun.part(index + 1, body, { [header(algorithm)]: value });
    expect(answer.headers[header(algorithm)]).toBe(value);
    parts[index + 1] = `<ETag>${answer.headers.etag}</ETag><${element(algorithm)}>${value}</${element(algorithm)}>`;
  }
  return { bucket, begun, parts };
}

describe("rule 10: multipart checksums", () => {
  it.each(["CRC32", "CRC32C", "CRC64NVME"] as const)(
    "%s, FULL_OBJECT: that of the bytes, combined from the parts'",
    async (algorithm) => {
      const { bucket, begun, parts } = await upload(algorithm, "FULL_OBJECT");
      const value = checksumOf(algorithm, WHOLE);
      const wrong = await begun.complete(parts, { [header(algorithm)]: checksumOf(algorithm, Buffer.from("other")) });
      expect(outcome(wrong)).toBe("400 BadDigest");
      const done = await begun.complete(parts, { [header(algorithm)]: value, "x-amz-checksum-type": "FULL_OBJECT" });
      expect([outcome(done), text(done, element(algorithm)), text(done, "ChecksumType")]).toEqual([
        ...["200", value, "FULL_OBJECT"],
      ]);
      const head = await world.send(bucket, "k", { method: "HEAD", headers: { "x-amz-checksum-mode": "ENABLED" } });
      expect([head.headers[header(algorithm)], head.headers["x-amz-checksum-type"]]).toEqual([value, "FULL_OBJECT"]);
    },
  );

  it.each(["CRC32", "CRC32C", "SHA1", "SHA256"] as const)(
    "%s, COMPOSITE: the hash of the parts' hashes, with their count",
    async (algorithm) => {
      const { bucket, begun, parts } = await upload(algorithm, "COMPOSITE");
      const value = composite(algorithm);
      const done = await begun.complete(parts, { [header(algorithm)]: value.slice(0, value.indexOf("-")) });
      expect([outcome(done), text(done, element(algorithm)), text(done, "ChecksumType")]).toEqual([
        ...["200", value, "COMPOSITE"],
      ]);
      const part = await world.send(bucket, "k", {
        ...{ method: "HEAD", query: "partNumber=2" },
        headers: { "x-amz-checksum-mode": "ENABLED" },
      });
      expect(part.headers[header(algorithm)]).toBe(checksumOf(algorithm, PARTS[1]));
      expect(part.headers["x-amz-checksum-type"]).toBe("COMPOSITE");
      const attributes = await world.send(bucket, "k", {
        ...{ query: "attributes" },
        headers: { "x-amz-object-attributes": "Checksum,ObjectParts,ObjectSize" },
      });
      const xml = attributes.xml();
      expect(texts(xml, `Checksum/${element(algorithm)}`)).toEqual([value.slice(0, value.indexOf("-"))]);
      expect(texts(xml, "ObjectParts/PartsCount")).toEqual(["3"]);
      expect(texts(xml, `ObjectParts/Part/${element(algorithm)}`)).toEqual(
        PARTS.map((body) => checksumOf(algorithm, body)),
      );
      expect(texts(xml, "ObjectParts/Part/Size")).toEqual(PARTS.map((body) => String(body.length)));
    },
  );

  it("no algorithm: CRC64NVME of the whole, though no part brought one", async () => {
    const bucket = await world.bucket();
    const begun = await beginUpload(world, bucket);
    expect(begun.begun.headers["x-amz-checksum-algorithm"]).toBeUndefined();
    const parts = { 1: await begun.part(1, PARTS[0]), 2: await begun.part(2, PARTS[2]) };
    const done = await begun.complete(parts);
    expect(text(done, "ChecksumCRC64NVME")).toBe(checksumOf("CRC64NVME", Buffer.concat([PARTS[0], PARTS[2]])));
  });

  it("no algorithm, and parts with one: held to it, not told of the parts, and the whole has CRC64NVME", async () => {
    const bucket = await world.bucket();
    const begun = await beginUpload(world, bucket);
    const large = await begun.part(1, PARTS[0], { [header("CRC32C")]: checksumOf("CRC32C", PARTS[0]) });
    expect(large.headers[header("CRC32C")]).toBe(checksumOf("CRC32C", PARTS[0]));
    const wrong = await begun.part(2, "x", { [header("SHA1")]: checksumOf("SHA1", Buffer.from("y")) });
    expect(outcome(wrong)).toBe("400 BadDigest");
    const small = await begun.part(2, PARTS[2], { [header("SHA1")]: checksumOf("SHA1", PARTS[2]) });
    expect((await begun.list()).text).not.toContain("Checksum");
    const typed = await begun.complete({ 1: large, 2: small }, { "x-amz-checksum-type": "FULL_OBJECT" });
    expect(outcome(typed)).toBe("400 InvalidRequest");
    const done = await begun.complete({ 1: large, 2: small });
    expect(text(done, "ChecksumCRC64NVME")).toBe(checksumOf("CRC64NVME", Buffer.concat([PARTS[0], PARTS[2]])));
  });

  it.each([
    [{ "x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT" }],
    [{ "x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE" }],
    [{ "x-amz-checksum-type": "COMPOSITE" }],
    [{ "x-amz-checksum-algorithm": "MD5" }],
    [{ "x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF" }],
  ])("%j: InvalidRequest", async (headers) => {
    const bucket = await world.bucket();
    const begun = await world.send(bucket, "k", { method: "POST", query: "uploads", headers });
    expect(outcome(begun)).toBe("400 InvalidRequest");
  });

  it("a part with another algorithm than its upload, or of wrong bytes: 400, and it is not kept", async () => {
    const bucket = await world.bucket();
    const begun = await beginUpload(world, bucket, "k", { "x-amz-checksum-algorithm": "CRC32" });
    const other = await begun.part(1, "x", { [header("CRC32C")]: checksumOf("CRC32C", Buffer.from("x")) });
    expect(outcome(other)).toBe("400 InvalidRequest");
    const wrong = await begun.part(1, "x", { [header("CRC32")]: checksumOf("CRC32", Buffer.from("y")) });
    expect(outcome(wrong)).toBe("400 BadDigest");
    expect(texts((await begun.list()).xml(), "Part/PartNumber")).toEqual([]);
  });

  it("a composite completion without a part's checksum: InvalidRequest; with a wrong one: InvalidPart", async () => {
    const bucket = await world.bucket();
    const begun = await beginUpload(world, bucket, "k", { "x-amz-checksum-algorithm": "SHA256" });
    const part = await begun.part(1, "x");
    expect(outcome(await begun.complete({ 1: part }))).toBe("400 InvalidRequest");
    const etag = `<ETag>${part.headers.etag}</ETag>`;
    const named = (bytes: string) =>
      `${etag}<ChecksumSHA256>${createHash("sha256").update(bytes).digest("base64")}</ChecksumSHA256>`;
    expect(outcome(await begun.complete({ 1: named("y") }))).toBe("400 InvalidPart");
    const type = { "x-amz-checksum-type": "FULL_OBJECT" };
    expect(outcome(await begun.complete({ 1: named("x") }, type))).toBe("400 InvalidRequest");
    expect(outcome(await begun.complete({ 1: named("x") }))).toBe("200");
  });
});

describe("ListParts", () => {
  it("elements in S3's order, each part with its checksum; pages by part-number-marker", async () => {
    const bucket = await world.bucket();
    const begun = await beginUpload(world, bucket, "k", { "x-amz-checksum-algorithm": "CRC32" });
    for (const number of [1, 2, 5]) await begun.part(number, `part ${number}`);
    const xml = (await begun.list()).xml();
    expect(order(xml)).toEqual([
      ...["Bucket", "Key", "UploadId", "Initiator", "Owner", "StorageClass", "PartNumberMarker"],
      ...["NextPartNumberMarker", "MaxParts", "IsTruncated", "Part", "Part", "Part"],
      ...["ChecksumAlgorithm", "ChecksumType"],
    ]);
    const [part] = xml.children.filter(({ name }) => name === "Part");
    expect(part && order(part)).toEqual(["PartNumber", "LastModified", "ETag", "Size", "ChecksumCRC32"]);
    const first = await begun.list("&max-parts=2");
    expect([texts(first.xml(), "Part/PartNumber"), text(first, "NextPartNumberMarker")]).toEqual([["1", "2"], "2"]);
    expect(text(first, "IsTruncated")).toBe("true");
    const second = await begun.list("&max-parts=2&part-number-marker=2");
    expect([texts(second.xml(), "Part/PartNumber"), text(second, "IsTruncated")]).toEqual([["5"], "false"]);
    expect(outcome(await begun.list("&max-parts=x"))).toBe("400 InvalidArgument");
    expect(outcome(await begun.list("&part-number-marker=-1"))).toBe("400 InvalidArgument");
    const none = await begun.list("&max-parts=0");
    expect([texts(none.xml(), "Part/PartNumber"), text(none, "IsTruncated")]).toEqual([[], "false"]);
  });
});
