import { randomBytes } from "node:crypto";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256 } from "../unit/s3-requests.js";
import { plainRequest, type S3Server, startS3 } from "./harness.js";
import { exchange, exchangeSeveral, type RawRequest, sendRaw, signedChunks, signedHead } from "./raw-requests.js";
import { minioClient, sdkClient } from "./sdk-clients.js";

let server: S3Server;
let sdk: S3Client;
beforeAll(async () => {
  server = await startS3();
  sdk = sdkClient(server);
  await sdk.send(new CreateBucketCommand({ Bucket: "wire" }));
});
afterAll(async () => {
  sdk?.destroy();
  await server?.remove();
});

const codeOf = (body: Buffer): string | undefined => /<Code>(.*?)<\/Code>/.exec(body.toString())?.[1];
const put = (request: RawRequest) => sendRaw(server, { method: "PUT", ...request });
const stored = async (Key: string): Promise<Buffer> => {
  const { Body } = await sdk.send(new GetObjectCommand({ Bucket: "wire", Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
};

describe("keys on the request line", () => {
  it.each([
    ["//a//b/", "/wire///a//b/", undefined],
    ["../../etc/passwd", "/wire/../../etc/passwd", undefined],
    ["./..", "/wire/%2e/%2E%2e", "/wire/./.."],
    ["a/b", "/wire/a%2Fb", undefined],
    ["a+b c%20", "/wire/a+b%20c%2520", "/wire/a%2Bb%20c%2520"],
    ["(!'*)~", "/wire/(!'*)~", "/wire/%28%21%27%2A%29~"],
    ["?acl", "/wire/%3Facl", undefined],
    ["é😀", "/wire/%c3%a9%f0%9f%98%80", "/wire/%C3%A9%F0%9F%98%80"],
    ["x\u0001y", "/wire/x%01y", undefined],
  ])(
    "one string decoded differently: `%s` by %s: stored and read under that key",
    async (key, target, canonicalPath) => {
      const canonical = canonicalPath === undefined ? {} : { canonicalPath };
      const body = `of ${key}`;
      expect((await put({ target, body, ...canonical })).status).toBe(200);
      expect((await sendRaw(server, { target, ...canonical })).body.toString()).toBe(body);
      const listed = await sdk.send(new ListObjectsV2Command({ Bucket: "wire", Prefix: key, EncodingType: "url" }));
      expect(
        listed.Contents?.some(
          (entry) => entry.Key === key || decodeURIComponent(entry.Key?.replaceAll("+", " ") ?? "") === key,
        ),
      ).toBe(true);
      expect((await sendRaw(server, { method: "DELETE", target, ...canonical })).status).toBe(204);
    },
  );

  it.each([
    ["/wire/%ff", "InvalidURI"],
    ["/wire/%zz", "InvalidURI"],
    [`/wire/${"k".repeat(1025)}`, "KeyTooLongError"],
    ["http://elsewhere/wire/k", "InvalidURI"],
  ])("%s: %s", async (target, code) => {
    const answer = await put({ target, body: "x" });
    expect([answer.status, codeOf(answer.body)]).toEqual([400, code]);
  });

  it("a target in absolute form: as its path", async () => {
    const head = signedHead(server, { target: "/wire/absolute", method: "PUT", body: "x" }).head;
    const answer = await exchange(server, `${head.replace("PUT /", `PUT http://127.0.0.1:${server.port}/`)}x`);
    expect(answer.status).toBe(200);
    expect((await stored("absolute")).toString()).toBe("x");
  });
});

describe("bodies", () => {
  const large = randomBytes(3_000_000);

  it.each([
    ["small", [large.subarray(0, 100)]],
    ["large", [large.subarray(0, 1_000_000), large.subarray(1_000_000)]],
  ])(
    "signed chunks, %s: taken; one changed byte: SignatureDoesNotMatch, and nothing is stored",
    async (name, chunks) => {
      const headers = {
        "x-amz-decoded-content-length": String(Buffer.concat(chunks).length),
        "content-encoding": "aws-chunked,gzip",
      };
      const send = (change: (body: Buffer) => Buffer) => {
        const request = {
          method: "PUT",
          target: `/wire/chunked-${name}`,
          payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
          headers,
        };
        const unsized = signedHead(server, request);
        const body = change(signedChunks(unsized, chunks));
        return exchange(
          server,
          Buffer.concat([
            Buffer.from(unsized.head.replace("content-length: 0", `content-length: ${body.length}`)),
            body,
          ]),
        );
      };
      const wrong = await send((body) => {
        body.writeUInt8(body.readUInt8(200) ^ 1, 150);
        return body;
      });
      expect(codeOf(wrong.body)).toBe("SignatureDoesNotMatch");
      await expect(stored(`chunked-${name}`)).rejects.toMatchObject({ name: "NoSuchKey" });
      expect((await send((body) => body)).status).toBe(200);
      expect(sha256(await stored(`chunked-${name}`))).toBe(sha256(Buffer.concat(chunks)));
      const head = await sdk.send(new HeadObjectCommand({ Bucket: "wire", Key: `chunked-${name}` }));
      expect(head.ContentEncoding).toBe("gzip");
    },
  );

  it.each([
    ["small", "hello"],
    ["large", large],
  ])("a hash that is not the %s body's: XAmzContentSHA256Mismatch, and nothing is stored", async (name, body) => {
    const answer = await put({ target: `/wire/hash-${name}`, payload: sha256("other"), body });
    expect([answer.status, codeOf(answer.body)]).toEqual([400, "XAmzContentSHA256Mismatch"]);
    await expect(stored(`hash-${name}`)).rejects.toMatchObject({ name: "NoSuchKey" });
    expect((await put({ target: `/wire/hash-${name}`, payload: sha256(Buffer.from(body)), body })).status).toBe(200);
  });

  it("a refused upload of 8 MiB: the client reads why", async () => {
    const answer = await put({ target: "/wire/refused", secretKey: "wrong", body: randomBytes(8 * 2 ** 20) });
    expect([answer.status, codeOf(answer.body)]).toEqual([403, "SignatureDoesNotMatch"]);
  });

  it.each([100_000, 250_000, 3_000_000])(
    "an upload of %d bytes, refused in its middle: answered, and a connection that stays serves on",
    async (size) => {
      const headers = { "x-amz-decoded-content-length": String(size), connection: "keep-alive" };
      const request = { method: "PUT", target: "/wire/middle", payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", headers };
      const seed = signedHead(server, request);
      const body = signedChunks(
        { ...seed, signature: "0" },
        Array.from({ length: size / 10_000 }, () => randomBytes(10_000)),
      );
      const first = Buffer.from(seed.head.replace("content-length: 0", `content-length: ${body.length}`));
      const next = Buffer.from(
        signedHead(server, { target: "/wire?location", canonicalPath: "/wire", query: "location=" }).head,
      );
      // Of the large one a part alone: with all of it at hand the connection may as well go on.
      const large = size > 256 * 1024;
      const sent = large ? [first, body.subarray(0, size / 3)] : [first, body, next];
      const [refused, served] = await exchangeSeveral(server, Buffer.concat(sent), large ? 1 : 2);
      expect(codeOf(refused?.body ?? Buffer.alloc(0))).toBe("SignatureDoesNotMatch");
      if (large) expect(refused?.headers.get("connection")).toBe("close");
      else expect(served?.status).toBe(200);
    },
  );

  it("no length: MissingContentLength; HTTP's chunks: taken", async () => {
    const { head } = signedHead(server, { method: "PUT", target: "/wire/length" });
    const none = await exchange(server, head.replace("content-length: 0\r\n", ""));
    expect([none.status, codeOf(none.body)]).toEqual([411, "MissingContentLength"]);
    const chunked = head.replace("content-length: 0", "transfer-encoding: chunked");
    expect((await exchange(server, `${chunked}5\r\nhello\r\n0\r\n\r\n`)).status).toBe(200);
    expect((await stored("length")).toString()).toBe("hello");
  });
});

describe("presigned URLs of real clients", () => {
  const openPut = (url: string, body: string, headers: Record<string, string> = {}) =>
    plainRequest(server, url.slice(new URL(url).origin.length), { method: "PUT", body, headers });

  it("AWS SDK: metadata and tags in the query are the object's; the checksum of no body is passed over", async () => {
    const command = new PutObjectCommand({ Bucket: "wire", Key: "url", Metadata: { a: "b" }, Tagging: "k=v" });
    const url = await getSignedUrl(sdk, command, { expiresIn: 60 });
    expect(url).toContain("x-amz-checksum-crc32");
    expect((await openPut(url, "by url")).status).toBe(200);
    const head = await sdk.send(new GetObjectCommand({ Bucket: "wire", Key: "url" }));
    expect([head.Metadata, head.TagCount, await head.Body?.transformToString()]).toEqual([{ a: "b" }, 1, "by url"]);
  });

  it("encryption in the query: 501, and nothing is stored", async () => {
    const command = new PutObjectCommand({ Bucket: "wire", Key: "encrypted", ServerSideEncryption: "AES256" });
    const hoistableHeaders = new Set(["x-amz-server-side-encryption"]);
    const url = await getSignedUrl(sdk, command, { expiresIn: 60, hoistableHeaders });
    expect(url).toContain("x-amz-server-side-encryption=AES256");
    expect((await openPut(url, "x")).status).toBe(501);
    await expect(stored("encrypted")).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  it("minio: PUT and GET", async () => {
    const minio = minioClient(server);
    expect((await openPut(await minio.presignedPutObject("wire", "m é+", 60), "of minio")).status).toBe(200);
    const url = await minio.presignedGetObject("wire", "m é+", 60, { "response-content-type": "x/y" });
    const answer = await plainRequest(server, url.slice(new URL(url).origin.length));
    expect([answer.headers["content-type"], answer.body.toString()]).toEqual(["x/y", "of minio"]);
  });
});
