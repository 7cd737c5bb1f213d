import { Upload } from "@aws-sdk/lib-storage";
import { describe, expect, it } from "vitest";
import { type RawAnswer, rawRequest, uriEncode } from "./exact-request.js";
import { beginUpload, completion, etagOf, MIB } from "./multipart-world.js";
import { order, text, texts, useWorld } from "./s3-world.js";

const world = useWorld();
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);
const TWO = [Buffer.alloc(5 * MIB, 1), Buffer.alloc(100, 2)] as const;

describe("multipart uploads", () => {
  it("rule 25: begun, filled, completed: the bytes, and md5-of-md5s-N as its ETag", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket, "a b/ü", { "content-type": "text/x", "x-amz-meta-a": "1" });
    expect(order(upload.begun.xml())).toEqual(["Bucket", "Key", "UploadId"]);
    const parts = { 1: await upload.part(1, TWO[0]), 2: await upload.part(2, TWO[1]) };
    expect((await world.get(bucket, "a b/ü")).status).toBe(404);
    const done = await upload.complete(parts);
    expect(outcome(done)).toBe("200");
    expect(order(done.xml())).toEqual([...["Location", "Bucket", "Key", "ETag", "ChecksumCRC64NVME", "ChecksumType"]]);
    expect(text(done, "Location")).toBe(`http://127.0.0.1:${world.server.port}/${bucket}/a%20b/%C3%BC`);
    expect([text(done, "Key"), text(done, "ETag")]).toEqual(["a b/ü", etagOf(TWO)]);
    const got = await world.get(bucket, "a b/ü");
    expect(got.bytes.equals(Buffer.concat(TWO))).toBe(true);
    expect(got.headers).toMatchObject({ etag: etagOf(TWO), "content-type": "text/x", "x-amz-meta-a": "1" });
  });

  it("parts in any order, one of them twice: the last of each counts", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const last = await upload.part(7, TWO[1]);
    await upload.part(3, "old");
    const first = await upload.part(3, TWO[0]);
    expect(outcome(await upload.complete({ 3: first, 7: last }))).toBe("200");
    expect((await world.get(bucket, "k")).bytes.equals(Buffer.concat(TWO))).toBe(true);
  });

  it("parts that the completion does not name: not in the object, and gone", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const only = await upload.part(1, "one");
    await upload.part(2, "two");
    expect(outcome(await upload.complete({ 1: only }))).toBe("200");
    expect((await world.get(bucket, "k")).text).toBe("one");
    expect(outcome(await upload.list())).toBe("404 NoSuchUpload");
  });

  it("rule 25: ETags without their quotes are taken", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const part = await upload.part(1, "x");
    const bare = `<ETag>${part.headers.etag?.replaceAll('"', "")}</ETag>`;
    expect(outcome(await upload.complete({ 1: bare }))).toBe("200");
  });

  it("rule 26: descending, or the same part twice: InvalidPartOrder", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const etags = [await upload.part(1, TWO[0]), await upload.part(2, TWO[1])].map(({ headers }) => headers.etag);
    const named = (number: number) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>${etags[number - 1]}</ETag></Part>`;
    const query = `uploadId=${upload.id}`;
    for (const numbers of [
      [2, 1],
      [1, 1],
    ]) {
      const body = `<CompleteMultipartUpload>${numbers.map(named).join("")}</CompleteMultipartUpload>`;
      const done = await world.send(bucket, "k", { method: "POST", query, body });
      expect(outcome(done)).toBe("400 InvalidPartOrder");
    }
  });

  it("rule 26: a part under 5 MiB that is not the last: EntityTooSmall with what it was", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const parts = { 1: await upload.part(1, "small"), 2: await upload.part(2, "last") };
    const done = await upload.complete(parts);
    expect(outcome(done)).toBe("400 EntityTooSmall");
    expect([text(done, "PartNumber"), text(done, "ProposedSize"), text(done, "MinSizeAllowed")]).toEqual([
      ...["1", "5", String(5 * MIB)],
    ]);
    expect(outcome(await upload.list())).toBe("200");
  });

  it("a part that is not there, or has another ETag: InvalidPart, and the upload goes on", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const part = await upload.part(1, "x");
    const missing = await upload.complete({ 2: part });
    expect([outcome(missing), text(missing, "PartNumber"), text(missing, "UploadId")]).toEqual([
      ...["400 InvalidPart", "2", upload.id],
    ]);
    expect(outcome(await upload.complete({ 1: '<ETag>"0123456789abcdef0123456789abcdef"</ETag>' }))).toBe(
      "400 InvalidPart",
    );
    expect(outcome(await upload.complete({ 1: part }))).toBe("200");
  });

  it("rule 30: documents that are none: MalformedXML", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    await upload.part(1, "x");
    const empty = await world.send(bucket, "k", { method: "POST", query: `uploadId=${upload.id}` });
    expect(outcome(empty)).toBe("400 InvalidRequest");
    for (const body of [
      "x",
      "<CompleteMultipartUpload></CompleteMultipartUpload>",
      "<Other/>",
      completion({ 1: "" }),
      "<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
    ]) {
      const done = await world.send(bucket, "k", { method: "POST", query: `uploadId=${upload.id}`, body });
      expect([done.status, done.code]).toEqual([400, "MalformedXML"]);
    }
  });

  it("an upload that is not there, or of another key: NoSuchUpload for every operation", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const part = await upload.part(1, "x");
    for (const [key, id] of [
      ["k", "nothing"],
      ["k", upload.id.replace(/.$/, (last) => (last === "0" ? "1" : "0"))],
      ["other", upload.id],
    ] as const) {
      const query = `uploadId=${uriEncode(id)}`;
      const body = completion({ 1: part });
      for (const request of [
        { method: "PUT", query: `partNumber=1&${query}`, body: "x" },
        { method: "POST", query, body },
        { method: "GET", query },
        { method: "DELETE", query },
      ]) {
        const answer = await world.send(bucket, key, request);
        expect(outcome(answer)).toBe("404 NoSuchUpload");
        expect(text(answer, "UploadId")).toBe(id);
      }
    }
  });

  it("part numbers: 1 to 10,000; others: InvalidArgument", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    for (const number of [1, 10_000]) expect(outcome(await upload.part(number, "x"))).toBe("200");
    for (const number of [0, 10_001, -1, 1.5])
      expect(outcome(await upload.part(number, "x"))).toBe("400 InvalidArgument");
  });

  it("rule 26: abort: 204, parts and upload gone; again: 404", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const part = await upload.part(1, "x");
    expect(outcome(await upload.abort())).toBe("204");
    expect(outcome(await upload.abort())).toBe("404 NoSuchUpload");
    expect(outcome(await upload.complete({ 1: part }))).toBe("404 NoSuchUpload");
    expect(outcome(await world.send(bucket, undefined, { method: "DELETE" }))).toBe("204");
  });

  it("rule 26: a repeated completion succeeds with the same answer", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const upload = await beginUpload(world, bucket);
    const parts = { 1: await upload.part(1, "x") };
    const first = await upload.complete(parts);
    const second = await upload.complete(parts);
    expect([outcome(second), second.text]).toEqual(["200", first.text]);
    expect(second.headers["x-amz-version-id"]).toBe(first.headers["x-amz-version-id"]);
    const versions = await world.send(bucket, undefined, { query: "versions" });
    expect(texts(versions.xml(), "Version/Key")).toEqual(["k"]);
  });

  it("rule 26: completions, parts and an abort at once: the object is whole or is not there, and nothing is left", async () => {
    const bucket = await world.bucket();
    for (let round = 0; round < 8; round++) {
      const key = `k${round}`;
      const upload = await beginUpload(world, bucket, key);
      const parts = { 1: await upload.part(1, TWO[0]), 2: await upload.part(2, TWO[1]) };
      const answers = await Promise.all([
        upload.complete(parts),
        upload.part(1, TWO[0]),
        upload.complete(parts),
        round % 2 === 0 ? upload.abort() : upload.part(3, "x"),
      ]);
      const completed = [answers[0], answers[2]].some((answer) => answer.status === 200);
      const got = await world.get(bucket, key);
      if (completed) expect(got.bytes.equals(Buffer.concat(TWO))).toBe(true);
      else expect(got.status).toBe(404);
      await upload.abort();
    }
    const left = await world.send(bucket, undefined, { query: "uploads" });
    expect(texts(left.xml(), "Upload/Key")).toEqual([]);
  });

  it("rule 16: conditional completions: of 8 uploads of one key one wins; If-Match of another ETag: 412", async () => {
    const bucket = await world.bucket();
    const uploads = await Promise.all(Array.from({ length: 8 }, () => beginUpload(world, bucket)));
    const parts = await Promise.all(uploads.map((upload, i) => upload.part(1, `upload ${i}`)));
    const answers = await Promise.all(
      uploads.map((upload, i) => upload.complete({ 1: parts[i] as RawAnswer }, { "if-none-match": "*" })),
    );
    const won = answers.findIndex(({ status }) => status === 200);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412 || status === 409)).toHaveLength(7);
    expect((await world.get(bucket, "k")).text).toBe(`upload ${won}`);
    const late = await beginUpload(world, bucket);
    const part = await late.part(1, "late");
    expect(outcome(await late.complete({ 1: part }, { "if-match": '"x"' }))).toBe("412 PreconditionFailed");
    const { etag = "" } = (await world.get(bucket, "k")).headers;
    expect(outcome(await late.complete({ 1: part }, { "if-match": etag }))).toBe("200");
  });

  it("rule 16: what became of the object since the upload began: rewritten 412, deleted 404, made 412, and the upload stays", async () => {
    const bucket = await world.bucket();
    const begun = async (key: string) => {
      const upload = await beginUpload(world, bucket, key);
      const part = await upload.part(1, "new");
      return (headers: Record<string, string>) => upload.complete({ 1: part }, headers);
    };
    const etagOfPut = async (key: string, body: string) => (await world.put(bucket, key, body)).headers.etag ?? "";
    const etag = await etagOfPut("k", "old");
    const [rewriting, deleting, making] = [await begun("k"), await begun("k"), await begun("made")];
    const later = await etagOfPut("k", "later");
    const refused = await rewriting({ "if-match": etag });
    expect([outcome(refused), text(refused, "Condition")]).toEqual(["412 PreconditionFailed", "If-Match"]);
    expect((await world.get(bucket, "k")).text).toBe("later");
    expect(outcome(await rewriting({ "if-match": later }))).toBe("200");
    const current = (await world.get(bucket, "k")).headers.etag ?? "";
    await world.send(bucket, "k", { method: "DELETE" });
    expect(outcome(await deleting({ "if-match": current }))).toBe("404 NoSuchKey");
    expect((await world.get(bucket, "k")).status).toBe(404);
    await world.put(bucket, "made", "by another");
    expect(outcome(await making({ "if-none-match": "*" }))).toBe("412 PreconditionFailed");
    expect((await world.get(bucket, "made")).text).toBe("by another");
    expect(outcome(await making({}))).toBe("200");
    expect(outcome(await deleting({ "if-none-match": "*" }))).toBe("200");
  });

  it("a body that is cut short leaves no part", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const query = `partNumber=1&uploadId=${upload.id}`;
    const wrong = await world.send(bucket, "k", {
      ...{ method: "PUT", query, body: "x" },
      headers: { "content-md5": "AAAAAAAAAAAAAAAAAAAAAA==" },
    });
    expect(outcome(wrong)).toBe("400 BadDigest");
    expect(texts((await upload.list()).xml(), "Part/PartNumber")).toEqual([]);
  });

  it("x-amz-mp-object-size: of the right size; of another: InvalidRequest", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    const parts = { 1: await upload.part(1, "12345") };
    expect(outcome(await upload.complete(parts, { "x-amz-mp-object-size": "6" }))).toBe("400 InvalidRequest");
    expect(outcome(await upload.complete(parts, { "x-amz-mp-object-size": "5" }))).toBe("200");
  });

  it("with the SDK's Upload: 23 MiB in parts", async () => {
    const bucket = await world.bucket();
    const Body = Buffer.alloc(23 * MIB, 5);
    const params = { Bucket: bucket, Key: "k", Body };
    await new Upload({ client: world.sdk, params, partSize: 5 * MIB, queueSize: 4 }).done();
    expect((await world.get(bucket, "k")).bytes.equals(Body)).toBe(true);
  });

  it("signed by nobody: AccessDenied, before a byte is read", async () => {
    const bucket = await world.bucket();
    const upload = await beginUpload(world, bucket);
    for (const request of [
      { method: "POST", target: `/${bucket}/k?uploads` },
      { method: "PUT", target: `/${bucket}/k?partNumber=1&uploadId=${upload.id}`, body: "x" },
      { method: "POST", target: `/${bucket}/k?uploadId=${upload.id}`, body: "x" },
      { method: "GET", target: `/${bucket}/k?uploadId=${upload.id}` },
      { method: "DELETE", target: `/${bucket}/k?uploadId=${upload.id}` },
    ]) {
      expect(outcome(await rawRequest(world.server, { ...request, as: null }))).toBe("403 AccessDenied");
    }
  });
});
