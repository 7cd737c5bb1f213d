import { describe, expect, it } from "vitest";
import { checksumOf } from "../../src/runtime/checksum/checksum.js";
import type { RawAnswer } from "./exact-request.js";
import { beginUpload, MIB, type TestUpload } from "./multipart-world.js";
import { order, text, texts, useWorld } from "./s3-world.js";

const world = useWorld();
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);

describe("UploadPartCopy", () => {
  const partCopy = (upload: TestUpload, number: number, from: string, headers: Record<string, string> = {}) =>
    upload.part(number, "", { "x-amz-copy-source": from, ...headers });
  const etagOf = (answer: RawAnswer) => `<ETag>${text(answer, "ETag")}</ETag>`;

  it("ranges of an object, put together again", async () => {
    const [from, to] = [await world.bucket({ versioning: "Enabled" }), await world.bucket()];
    const body = Buffer.alloc(11 * MIB);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(at, at);
    const version = (await world.put(from, "a", body)).headers["x-amz-version-id"];
    const upload = await beginUpload(world, to);
    const first = await partCopy(upload, 1, `/${from}/a`, { "x-amz-copy-source-range": `bytes=0-${5 * MIB - 1}` });
    expect(outcome(first)).toBe("200");
    expect(order(first.xml()).slice(0, 2)).toEqual(["LastModified", "ETag"]);
    expect(first.headers["x-amz-copy-source-version-id"]).toBe(version);
    const second = await partCopy(upload, 2, `/${from}/a?versionId=${version}`, {
      "x-amz-copy-source-range": `bytes=${5 * MIB}-${11 * MIB - 1}`,
    });
    const third = await upload.part(3, "tail");
    await world.send(from, "a", { method: "DELETE", query: `versionId=${version}` });
    const done = await upload.complete({ 1: etagOf(first), 2: etagOf(second), 3: third });
    expect(outcome(done)).toBe("200");
    const whole = Buffer.concat([body, Buffer.from("tail")]);
    expect((await world.get(to, "k")).bytes.equals(whole)).toBe(true);
    expect(text(done, "ChecksumCRC64NVME")).toBe(checksumOf("CRC64NVME", whole));
  });

  it("a whole object, a multipart one too", async () => {
    const bucket = await world.bucket();
    const source = await beginUpload(world, bucket, "a");
    const parts = { 1: await source.part(1, Buffer.alloc(5 * MIB, 1)), 2: await source.part(2, "two") };
    await source.complete(parts);
    const upload = await beginUpload(world, bucket, "b", { "x-amz-checksum-algorithm": "SHA256" });
    const copied = await partCopy(upload, 1, `/${bucket}/a`);
    const sum = `<ChecksumSHA256>${text(copied, "ChecksumSHA256")}</ChecksumSHA256>`;
    expect(outcome(await upload.complete({ 1: etagOf(copied) + sum }))).toBe("200");
    const bytes = Buffer.concat([Buffer.alloc(5 * MIB, 1), Buffer.from("two")]);
    expect((await world.get(bucket, "b")).bytes.equals(bytes)).toBe(true);
  });

  it.each(["0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5", "bytes=3-2"])(
    "x-amz-copy-source-range: %s: InvalidArgument",
    async (range) => {
      const bucket = await world.bucket();
      await world.put(bucket, "a", "hello");
      const upload = await beginUpload(world, bucket);
      const copied = await partCopy(upload, 1, `/${bucket}/a`, { "x-amz-copy-source-range": range });
      expect(outcome(copied)).toBe("400 InvalidArgument");
    },
  );

  it("a range past the object: InvalidArgument with its size", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "hello");
    const upload = await beginUpload(world, bucket);
    const copied = await partCopy(upload, 1, `/${bucket}/a`, { "x-amz-copy-source-range": "bytes=0-5" });
    expect(outcome(copied)).toBe("400 InvalidArgument");
    expect(text(copied, "Message")).toContain("source object of size: 5");
  });

  it("rule 16: conditions on the source; a source that is not there", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "a", "hello")).headers.etag ?? "";
    const upload = await beginUpload(world, bucket);
    const failing = { "x-amz-copy-source-if-none-match": etag };
    expect(outcome(await partCopy(upload, 1, `/${bucket}/a`, failing))).toBe("412 PreconditionFailed");
    expect(outcome(await partCopy(upload, 1, `/${bucket}/none`))).toBe("404 NoSuchKey");
    const holding = { "x-amz-copy-source-if-match": etag };
    expect(outcome(await partCopy(upload, 1, `/${bucket}/a`, holding))).toBe("200");
  });
});

describe("ListMultipartUploads", () => {
  const list = (bucket: string, query = "") => world.send(bucket, undefined, { query: `uploads${query}` });

  it("elements in S3's order; each upload with who began it and when", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket, "a b", { "x-amz-checksum-algorithm": "CRC32C" });
    const xml = (await list(bucket)).xml();
    expect(order(xml)).toEqual([
      ...["Bucket", "KeyMarker", "UploadIdMarker", "NextKeyMarker", "NextUploadIdMarker"],
      ...["MaxUploads", "IsTruncated", "Upload"],
    ]);
    const [found] = xml.children.filter(({ name }) => name === "Upload");
    expect(found && order(found)).toEqual([
      ...["Key", "UploadId", "Initiator", "Owner", "StorageClass", "Initiated", "ChecksumAlgorithm", "ChecksumType"],
    ]);
    expect(texts(xml, "Upload/UploadId")).toEqual([upload.id]);
    expect(texts(xml, "Upload/ChecksumType")).toEqual(["COMPOSITE"]);
    expect(texts((await list(bucket, "&encoding-type=url")).xml(), "Upload/Key")).toEqual(["a%20b"]);
  });

  it("pages by key marker and upload id marker: each upload once", async () => {
    const bucket = await world.bucket();
    const ids = new Map<string, string[]>();
    for (const key of ["a", "b", "b", "b", "c"]) {
      ids.set(key, [...(ids.get(key) ?? []), (await beginUpload(world, bucket, key)).id]);
    }
    const seen: string[] = [];
    let markers = "";
    for (;;) {
      const page = await list(bucket, `&max-uploads=2${markers}`);
      seen.push(...texts(page.xml(), "Upload/UploadId"));
      if (text(page, "IsTruncated") === "false") break;
      const [key, id] = [text(page, "NextKeyMarker") ?? "", text(page, "NextUploadIdMarker") ?? ""];
      markers = `&key-marker=${key}&upload-id-marker=${encodeURIComponent(id)}`;
    }
    expect([...seen].sort()).toEqual([...ids.values()].flat().sort());
    expect(seen[0]).toBe(ids.get("a")?.[0]);
    expect(seen.at(-1)).toBe(ids.get("c")?.[0]);
    const behind = await list(bucket, "&key-marker=b");
    expect(texts(behind.xml(), "Upload/Key")).toEqual(["c"]);
  });

  it("an upload id marker that was never one: InvalidArgument; without a key marker it is nothing", async () => {
    const bucket = await world.bucket();
    const { id } = await beginUpload(world, bucket, "k");
    for (const wrong of ["x", `${id}x`, id.slice(1), "%00"]) {
      const refused = await list(bucket, `&key-marker=k&upload-id-marker=${wrong}`);
      expect([refused.status, refused.code, text(refused, "ArgumentName")]).toEqual([
        ...[400, "InvalidArgument", "upload-id-marker"],
      ]);
      expect(texts((await list(bucket, `&upload-id-marker=${wrong}`)).xml(), "Upload/Key")).toEqual(["k"]);
    }
    expect(texts((await list(bucket, "&key-marker=j&upload-id-marker=")).xml(), "Upload/Key")).toEqual(["k"]);
  });

  it("the marker of another key's upload: the key's later ones and all keys behind it, whether or not it is still there", async () => {
    const bucket = await world.bucket();
    const begun: [string, string][] = [];
    const uploads = new Map<string, TestUpload>();
    for (const name of ["b1", "a1", "b2", "c1", "b3"]) {
      const upload = await beginUpload(world, bucket, name.slice(0, 1));
      uploads.set(name, upload);
      begun.push([upload.id, name]);
    }
    const names = new Map(begun);
    const behind = async (key: string, name: string) => {
      const page = await list(bucket, `&key-marker=${key}&upload-id-marker=${uploads.get(name)?.id}`);
      return texts(page.xml(), "Upload/UploadId").map((id) => names.get(id));
    };
    for (const abort of [false, true]) {
      if (abort) for (const name of ["a1", "c1"]) await uploads.get(name)?.abort();
      const rest = abort ? [] : ["c1"];
      expect(await behind("b", "a1")).toEqual(["b2", "b3", ...rest]);
      expect(await behind("b", "c1")).toEqual(["b3", ...rest]);
    }
    // As who aborts page by page asks.
    await uploads.get("b1")?.abort();
    expect(await behind("b", "b1")).toEqual(["b2", "b3"]);
  });

  it("prefix and delimiter", async () => {
    const bucket = await world.bucket();
    for (const key of ["a/1", "a/2", "b", "c/1"]) await beginUpload(world, bucket, key);
    const xml = (await list(bucket, "&delimiter=/")).xml();
    expect(texts(xml, "CommonPrefixes/Prefix")).toEqual(["a/", "c/"]);
    expect(texts(xml, "Upload/Key")).toEqual(["b"]);
    expect(texts((await list(bucket, "&prefix=a/")).xml(), "Upload/Key")).toEqual(["a/1", "a/2"]);
    expect((await list(bucket, "&max-uploads=x")).code).toBe("InvalidArgument");
  });
});
