import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHECKSUM_ALGORITHMS } from "../../src/model/object.js";
import { checksumOf } from "../../src/runtime/checksum/checksum.js";
import { BodyServer, store, type Upload } from "./s3-body-server.js";
import { sha256 } from "./s3-requests.js";

const md5 = (bytes: Buffer, form: "hex" | "base64" = "hex"): string => createHash("md5").update(bytes).digest(form);

const SMALL = Buffer.from("Welcome to Granary");
const LARGE = randomBytes(300_000);
const SIZES: [string, Buffer][] = [
  ["small", SMALL],
  ["large", LARGE],
];

let server: BodyServer;
beforeAll(async () => {
  server = await BodyServer.start();
});
afterAll(() => server.stop());

const stored = (upload: Upload) => server.send(upload, (body) => store(body));

describe("RequestBody.source", () => {
  it.each([0, 1, 17, 4096, 65_536, 65_537, 300_000])("%d bytes: as sent, with their digests", async (size) => {
    const body = LARGE.subarray(0, size);
    for (const apart of [false, true]) {
      const pieces = apart ? [body.subarray(0, size / 3), body.subarray(size / 3)] : [body];
      const outcome = await stored({ body: pieces, apart });
      expect(outcome).toEqual({
        value: {
          ...{ sha256: sha256(body), lengthBytes: size, whole: size <= 65_536 },
          digest: {
            md5: md5(body),
            checksum: { algorithm: "CRC64NVME", type: "FULL_OBJECT", value: checksumOf("CRC64NVME", body) },
          },
        },
      });
    }
  });

  it("no Content-Length, HTTP's own chunks: taken, without a declared length", async () => {
    const headers = { "transfer-encoding": "chunked" };
    const outcome = await stored({ headers, contentLength: null, body: ["5\r\nhello\r\n", "0\r\n\r\n"] });
    expect(outcome).toMatchObject({ value: { sha256: sha256("hello"), lengthBytes: undefined } });
  });

  it("neither Content-Length nor Transfer-Encoding: MissingContentLength", async () => {
    expect(await stored({ contentLength: null })).toMatchObject({ code: "MissingContentLength" });
  });

  it("over the limit: EntityTooLarge, before a byte is read where the length is declared", async () => {
    const small = (upload: Upload) => server.send(upload, (body) => store(body, "CRC32", 10));
    const declared = await small({ body: [LARGE] });
    expect(declared).toMatchObject({
      code: "EntityTooLarge",
      fields: { ProposedSize: "300000", MaxSizeAllowed: "10" },
    });
    const chunks = {
      headers: { "transfer-encoding": "chunked" },
      contentLength: null,
      body: ["b\r\nhello world\r\n", "0\r\n\r\n"],
    };
    expect(await small(chunks)).toMatchObject({ code: "EntityTooLarge" });
  });

  it.each(SIZES)("a %s body cut short by the client: IncompleteBody", async (_size, bytes) => {
    const upload: Upload = { body: [bytes.subarray(0, -1)], contentLength: bytes.length, hangUp: true };
    expect(await stored(upload)).toMatchObject({ code: "IncompleteBody" });
  });

  it("finish() before the last byte was read: refused", async () => {
    const outcome = await server.send({ body: [LARGE] }, async (body) => {
      const source = await body.source({ algorithm: "CRC32", limitBytes: 1e9 });
      return source.finish();
    });
    expect(outcome).toMatchObject({ code: "IncompleteBody" });
  });

  it("a reader that stops early: the message stays, with no listener of ours, and what comes is dropped", async () => {
    const outcome = await server.send({ body: [LARGE] }, async (body, message) => {
      const source = await body.source({ algorithm: "CRC32", limitBytes: 1e9 });
      for await (const _piece of source.bytes as AsyncIterable<Buffer>) break;
      const left = [message.destroyed, message.isPaused(), message.listenerCount("data")];
      await once(message, "end");
      return left;
    });
    expect(outcome).toEqual({ value: [false, false, 0] });
  });

  it("a reader that is slow: the client waits, and no more than a few reads are held", async () => {
    const body = randomBytes(8 * 2 ** 20);
    const outcome = await server.send({ body: [body] }, async (request, message) => {
      const source = await request.source({ algorithm: "CRC32", limitBytes: 1e9 });
      const iterator = (source.bytes as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
      await iterator.next();
      await sleep(100);
      const paused = message.isPaused();
      const held = message.readableLength;
      let rest = 0;
      for (let step = await iterator.next(); !step.done; step = await iterator.next()) rest += step.value.length;
      return { paused, held: held <= 256 * 1024, rest: rest > 7 * 2 ** 20 };
    });
    expect(outcome).toEqual({ value: { paused: true, held: true, rest: true } });
  });
});

describe("x-amz-content-sha256 of a body", () => {
  it.each(SIZES)("of %s bytes, right: taken; wrong: XAmzContentSHA256Mismatch", async (_size, bytes) => {
    const right: Upload = { payload: { kind: "hash", sha256: sha256(bytes) }, body: [bytes] };
    expect(await stored(right)).toMatchObject({ value: { sha256: sha256(bytes) } });
    const wrong: Upload = { payload: { kind: "hash", sha256: sha256(Buffer.from("other")) }, body: [bytes] };
    expect(await stored(wrong)).toMatchObject({
      code: "XAmzContentSHA256Mismatch",
      fields: { S3ComputedContentSHA256: sha256(bytes) },
    });
  });
});

describe("Content-MD5", () => {
  it.each(SIZES)("of %s bytes, right: taken; wrong: BadDigest", async (_size, bytes) => {
    const right = { "content-md5": md5(bytes, "base64") };
    expect(await stored({ body: [bytes], headers: right })).toMatchObject({ value: { sha256: sha256(bytes) } });
    const wrong = { "content-md5": md5(Buffer.from("other"), "base64") };
    expect(await stored({ body: [bytes], headers: wrong })).toMatchObject({
      code: "BadDigest",
      message: "The Content-MD5 you specified did not match what we received.",
    });
  });

  it.each(["x", "1B2M2Y8AsgTpgAmY7PhCfg=", "AAAA", "1B2M2Y8AsgTpgAmY7PhCfh==", ""])(
    "`%s`: InvalidDigest",
    async (value) => {
      expect(await stored({ body: [SMALL], headers: { "content-md5": value } })).toMatchObject({
        code: "InvalidDigest",
      });
    },
  );
});

describe("x-amz-checksum-*", () => {
  it.each(CHECKSUM_ALGORITHMS)("%s, right: taken and kept in its algorithm; wrong: BadDigest", async (algorithm) => {
    const name = `x-amz-checksum-${algorithm.toLowerCase()}`;
    for (const [, bytes] of SIZES) {
      const value = checksumOf(algorithm, bytes);
      const right = { [name]: value, "x-amz-sdk-checksum-algorithm": algorithm };
      const outcome = await stored({ body: [bytes], headers: right, payload: { kind: "hash", sha256: sha256(bytes) } });
      expect(outcome).toMatchObject({ value: { digest: { checksum: { algorithm, value } } } });
      const wrong = { [name]: checksumOf(algorithm, Buffer.from("other")) };
      expect(await stored({ body: [bytes], headers: wrong })).toMatchObject({
        code: "BadDigest",
        message: `The ${algorithm} you specified did not match the calculated checksum.`,
      });
    }
  });

  it.each<[string, Record<string, string>, string]>([
    ["two", { "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": checksumOf("SHA1", SMALL) }, "InvalidRequest"],
    [
      "one of another algorithm than named",
      { "x-amz-checksum-crc32": "AAAAAA==", "x-amz-sdk-checksum-algorithm": "SHA1" },
      "InvalidRequest",
    ],
    ["named and not sent", { "x-amz-sdk-checksum-algorithm": "CRC32" }, "InvalidRequest"],
    [
      "an unknown name",
      { "x-amz-checksum-crc32": "AAAAAA==", "x-amz-sdk-checksum-algorithm": "MD4" },
      "InvalidRequest",
    ],
    ["a wrong length", { "x-amz-checksum-crc32": "AAAA" }, "InvalidRequest"],
    ["no base64", { "x-amz-checksum-crc32": "-_AAAA==" }, "InvalidRequest"],
    ["an algorithm that is not known here", { "x-amz-checksum-xxhash64": "AAAA" }, "NotImplemented"],
    ["a trailer without trailers", { "x-amz-trailer": "x-amz-checksum-crc32" }, "InvalidRequest"],
  ])("%s: %j: %s", async (_what, headers, code) => {
    expect(await stored({ body: [SMALL], headers })).toMatchObject({ code });
  });

  it("what was declared is told, and what was found after", async () => {
    const headers = { "x-amz-checksum-crc32c": checksumOf("CRC32C", SMALL) };
    const outcome = await server.send({ body: [SMALL], headers }, async (body) => {
      const before = body.digest();
      const { digest } = await store(body);
      return { declared: body.declared, before, same: body.digest() === digest };
    });
    expect(outcome).toEqual({
      value: {
        declared: { algorithm: "CRC32C", value: headers["x-amz-checksum-crc32c"] },
        ...{ before: undefined, same: true },
      },
    });
  });
});

describe("RequestBody.text", () => {
  const text = (upload: Upload, limitBytes = 100) => server.send(upload, (body) => body.text(limitBytes));

  it("a document: its text; none sent: empty", async () => {
    expect(await text({ body: ["<a>é</a>"] })).toEqual({ value: "<a>é</a>" });
    expect(await text({ contentLength: null })).toEqual({ value: "" });
  });

  it("over the limit: MaxMessageLengthExceeded, declared or not", async () => {
    expect(await text({ body: [LARGE] })).toMatchObject({ code: "MaxMessageLengthExceeded" });
    const chunks = {
      headers: { "transfer-encoding": "chunked" },
      contentLength: null,
      body: ["b\r\nhello world\r\n", "0\r\n\r\n"],
    };
    expect(await text(chunks, 10)).toMatchObject({ code: "MaxMessageLengthExceeded" });
    expect(await text(chunks, 11)).toEqual({ value: "hello world" });
  });

  it("wrong digests: refused", async () => {
    const other = Buffer.from("other");
    expect(await text({ body: [SMALL], headers: { "content-md5": md5(other, "base64") } })).toMatchObject({
      code: "BadDigest",
    });
    expect(await text({ body: [SMALL], payload: { kind: "hash", sha256: sha256(other) } })).toMatchObject({
      code: "XAmzContentSHA256Mismatch",
    });
    const headers = { "x-amz-checksum-crc32": checksumOf("CRC32", other) };
    expect(await text({ body: [SMALL], headers })).toMatchObject({ code: "BadDigest" });
  });

  it("checksum headers that speak of an object: not held against the document", async () => {
    const headers = { "x-amz-checksum-crc32": checksumOf("CRC32", LARGE), "x-amz-checksum-type": "FULL_OBJECT" };
    const outcome = await server.send({ body: [SMALL], headers }, (body) =>
      body.text(100, { checksumHeaders: "ignored" }),
    );
    expect(outcome).toEqual({ value: SMALL.toString() });
  });
});
