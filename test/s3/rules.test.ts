import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import * as s3 from "@aws-sdk/client-s3";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ObjectClient } from "../root/objects-client.js";
import { plainRequest, type S3Server, startS3 } from "./harness.js";
import { exchange, exchangeSeveral, type RawRequest, sendRaw, signedChunks, signedHead } from "./raw-requests.js";
import { sdkClient } from "./sdk-clients.js";

/** Rules that are easy to miss, each on a real server; those that no test of one operation is about. */

const Bucket = "rules";
let server: S3Server;
let sdk: s3.S3Client;
beforeAll(async () => {
  server = await startS3({ flags: ["--domain", "s3.example"] });
  sdk = sdkClient(server);
  await sdk.send(new s3.CreateBucketCommand({ Bucket }));
  await sdk.send(new s3.PutObjectCommand({ Bucket, Key: "k", Body: "value" }));
});
afterAll(async () => {
  sdk?.destroy();
  await server?.remove();
});

const raw = (request: RawRequest) => sendRaw(server, request);
const codeOf = ({ body }: { body: Buffer }) => /<Code>(.*?)<\/Code>/.exec(body.toString())?.[1];
const headOf = (request: RawRequest) => signedHead(server, request).head;
const get = async (Key: string) =>
  (await sdk.send(new s3.GetObjectCommand({ Bucket, Key }))).Body?.transformToString() ?? "";
const missing = (Key: string) => expect(get(Key)).rejects.toMatchObject({ name: "NoSuchKey" });
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

it("rule 1: the raw path is what is signed and stored: no dots or slashes fold, !'()* may come bare", async () => {
  for (const [target, canonicalPath, key] of [
    ["/rules//a/../b", undefined, "/a/../b"],
    ["/rules/(!'*)", "/rules/%28%21%27%2A%29", "(!'*)"],
  ] as const) {
    const path = canonicalPath === undefined ? {} : { canonicalPath };
    expect((await raw({ method: "PUT", target, body: key, ...path })).status).toBe(200);
    expect(await get(key)).toBe(key);
  }
  expect((await raw({ target: "//rules/k" })).status).toBeGreaterThanOrEqual(400);
});

it("rule 2: query keys sort, a bare one is `key=`; header whitespace collapses, repeated headers join", async () => {
  const listing = { target: "/rules?prefix=k&list-type=2&delimiter", query: "delimiter=&list-type=2&prefix=k" };
  expect((await raw(listing)).status).toBe(200);
  const put = (value: string, sent: string) =>
    exchange(
      server,
      headOf({ method: "PUT", target: "/rules/meta", headers: { "x-amz-meta-a": value } }).replace(
        `x-amz-meta-a: ${value}`,
        sent,
      ),
    );
  expect((await put("a b", "x-amz-meta-a:   a    b  ")).status).toBe(200);
  expect((await put("1,2", "x-amz-meta-a: 1\r\nx-amz-meta-a: 2")).status).toBe(200);
});

it("rule 3: x-amz-* headers must be signed; Host as sent, whatever X-Forwarded-Host says; both styles", async () => {
  const head = headOf({ target: "/rules/k" });
  expect((await exchange(server, head.replace("\r\n\r\n", "\r\nx-amz-meta-x: y\r\n\r\n"))).status).toBe(403);
  const forwarded = { host: "elsewhere.example", "x-forwarded-host": "elsewhere.example" };
  const other = headOf({ target: "/rules/k", headers: { host: "elsewhere.example" } });
  const changed = other.replace(
    "host: elsewhere.example",
    `host: 127.0.0.1:${server.port}\r\nx-forwarded-host: ${forwarded.host}`,
  );
  expect(codeOf(await exchange(server, changed))).toBe("SignatureDoesNotMatch");
  const virtual = await raw({ target: "/k", headers: { host: `rules.s3.example:${server.port}` } });
  expect(virtual.body.toString()).toBe("value");
});

it("rule 4: presigned for 1 to 604800 s; not beside a header; region and service as in the scope", async () => {
  const day = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  const url = (expires: number, scope = "us-east-1/s3") => {
    const credential = encodeURIComponent(`${server.accessKey}/${day}/${scope}/aws4_request`);
    return `/rules/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${credential}&X-Amz-Date=${day}T000000Z&X-Amz-Expires=${expires}&X-Amz-SignedHeaders=host&X-Amz-Signature=${"0".repeat(64)}`;
  };
  for (const target of [url(-1), url(604_801), url(604_800, "eu-west-1/s3"), url(604_800, "us-east-1/sqs")]) {
    expect(codeOf(await plainRequest(server, target)), target).toBe("AuthorizationQueryParametersError");
  }
  expect((await plainRequest(server, url(0))).status).toBe(403);
  expect(codeOf(await plainRequest(server, url(604_800)))).toBe("SignatureDoesNotMatch");
  const both = headOf({ target: "/rules/k" }).replace("/rules/k", url(604_800));
  expect((await exchange(server, both)).status).toBe(400);
});

it("rule 5: a clock off by 16 minutes: RequestTimeTooSkewed; SigV2: refused clearly", async () => {
  const now = new Date();
  // On the same day, whatever the time: the scope's date must stay right.
  const off = new Date(now.getTime() + (now.getUTCHours() < 12 ? 1 : -1) * 16 * 60_000);
  const date = off.toISOString().replace(/[-:]|\.\d+/g, "");
  const skewed = await raw({ target: "/rules/k", headers: { "x-amz-date": date } });
  expect([skewed.status, codeOf(skewed)]).toEqual([403, "RequestTimeTooSkewed"]);
  const v2 = await plainRequest(server, "/rules/k", { headers: { authorization: `AWS ${server.accessKey}:c2ln` } });
  expect([v2.status, codeOf(v2)]).toEqual([400, "InvalidRequest"]);
});

it("rule 6: x-amz-content-sha256 missing, malformed, mismatched: three errors; held for anybody's requests", async () => {
  const put = (payload: string) => raw({ method: "PUT", target: "/rules/hash", payload, body: "x" });
  const bare = headOf({ method: "PUT", target: "/rules/hash" }).replace(/x-amz-content-sha256: .*\r\n/, "");
  expect(codeOf(await exchange(server, bare))).toBe("InvalidRequest");
  expect(codeOf(await put("abc"))).toBe("InvalidArgument");
  expect(codeOf(await put(sha256("other")))).toBe("XAmzContentSHA256Mismatch");
  const statement = { Effect: "Allow", Principal: "*", Action: "s3:PutObject", Resource: "arn:aws:s3:::rules/any/*" };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
  await sdk.send(new s3.PutBucketPolicyCommand({ Bucket, Policy }));
  const anybody = (hash: string) =>
    plainRequest(server, "/rules/any/k", { method: "PUT", body: "x", headers: { "x-amz-content-sha256": hash } });
  expect(codeOf(await anybody(sha256("other")))).toBe("XAmzContentSHA256Mismatch");
  await missing("any/k");
  expect((await anybody(sha256("x"))).status).toBe(200);
});

it("rule 7: a form's fields under conditions, its length while it streams; what follows the file is ignored", async () => {
  const Conditions = [["content-length-range", 1, 10]] as never[];
  const { fields } = await createPresignedPost(sdk, { Bucket, Key: "form", Conditions });
  const part = (name: string, value: string) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const post = (more: Record<string, string>, file: string) => {
    const parts = Object.entries({ ...fields, ...more }).map(([name, value]) => part(name, value));
    const body = `${parts.join("")}${part("file", file)}${part("key", "after")}--b--\r\n`;
    return plainRequest(server, "/rules", {
      ...{ method: "POST", body },
      headers: { "content-type": "multipart/form-data; boundary=b" },
    });
  };
  expect((await post({ "x-amz-meta-a": "b" }, "x")).status).toBe(403);
  expect(codeOf(await post({}, "x".repeat(11)))).toBe("EntityTooLarge");
  await missing("form");
  expect((await post({}, "ten bytes!")).status).toBe(204);
  expect(await get("form")).toBe("ten bytes!");
  await missing("after");
});

it("rule 8: chunks: the last one's signature and the decoded length hold; ECDSA is refused", async () => {
  const payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
  const send = (decoded: number, change: (body: string) => string) => {
    const headers = { "x-amz-decoded-content-length": String(decoded) };
    const seed = signedHead(server, { method: "PUT", target: "/rules/chunked", payload, headers });
    const body = change(signedChunks(seed, [Buffer.from("hello")]).toString());
    return exchange(server, seed.head.replace("content-length: 0", `content-length: ${body.length}`) + body);
  };
  const last = (body: string) => body.replace(/0;chunk-signature=\w+/, `0;chunk-signature=${"0".repeat(64)}`);
  expect(codeOf(await send(5, last))).toBe("SignatureDoesNotMatch");
  for (const wrong of [4, 6]) expect((await send(wrong, (body) => body)).status).toBe(400);
  await missing("chunked");
  expect((await send(5, (body) => body)).status).toBe(200);
  const ecdsa = { method: "PUT", target: "/rules/ecdsa", payload: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" };
  expect((await raw(ecdsa)).status).toBe(501);
});

it("rule 11: a body cut short leaves nothing", async () => {
  const files = () => readdirSync(server.dataDir, { recursive: true }).length;
  const before = files();
  const head = headOf({ method: "PUT", target: "/rules/cut" }).replace("content-length: 0", "content-length: 4000000");
  await new Promise<void>((resolve) => {
    const socket = connect(server.port, "127.0.0.1", () =>
      socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(2_000_000)]), () => socket.destroy()),
    );
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
  await expect.poll(files, { timeout: 10_000 }).toBeLessThanOrEqual(before);
  await missing("cut");
});

it("rule 12: Expect: 100-continue: answered at once, with the final status where it is refused", async () => {
  const request = { method: "PUT", target: "/rules/expect", headers: { expect: "100-continue" } };
  const sized = (more: Partial<RawRequest>) =>
    headOf({ ...request, ...more }).replace("content-length: 0", "content-length: 5");
  const [go] = await exchangeSeveral(server, sized({}), 1);
  expect(go?.status).toBe(100);
  expect((await exchange(server, sized({ secretKey: "wrong" }))).status).toBe(403);
  const answers = await exchangeSeveral(server, `${sized({})}hello`, 2);
  expect(answers.map(({ status }) => status)).toEqual([100, 200]);
});

it("rule 13: an early error is read by a client that still sends", async () => {
  for (const size of [1000, 100_000, 8 * 2 ** 20]) {
    const answer = await raw({ method: "PUT", target: "/rules/k2", secretKey: "wrong", body: Buffer.alloc(size) });
    expect([answer.status, codeOf(answer)]).toEqual([403, "SignatureDoesNotMatch"]);
  }
});

it("rule 14: 20 KB of headers are served", async () => {
  const head = headOf({ target: "/rules/k" });
  const answer = await exchange(server, head.replace("\r\n\r\n", `\r\nx-long: ${"x".repeat(20_000)}\r\n\r\n`));
  expect(answer.body.toString()).toBe("value");
});

/** The time between two requests of a connection, past Node's own 5 s. `.ci/run` has more than a client's pool waits. */
const IDLE_MS = Number(process.env.GRANARY_TEST_IDLE_S ?? 7) * 1000;
/** How long an upload takes. `.ci/run` has more than Node's own 300 s, which its check every 30 s adds to. */
const UPLOAD_MS = Number(process.env.GRANARY_TEST_UPLOAD_S ?? 7) * 1000;
const PAUSE_MS = 500;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it.concurrent(
  "rule 14: a connection that was idle for long takes the next request",
  async () => {
    const client = new ObjectClient(server, 1);
    const ask = async () => {
      const answer = await client.start({ method: "GET", path: "/rules/k" });
      const { localPort } = answer.socket;
      await once(answer.resume(), "end");
      return [answer.statusCode, localPort];
    };
    const first = await ask();
    await pause(IDLE_MS);
    expect(await ask()).toEqual(first);
    expect(first[0]).toBe(200);
    client.close();
  },
  IDLE_MS + 60_000,
);

it.concurrent(
  "rule 14: an upload may take as long as its bytes come",
  async () => {
    const pieces = Math.ceil(UPLOAD_MS / PAUSE_MS);
    const head = headOf({ method: "PUT", target: "/rules/slow" });
    const socket = connect(server.port, "127.0.0.1");
    const chunks: Buffer[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", () => resolve());
      socket.on("data", (chunk) => {
        chunks.push(chunk);
        socket.end();
      });
    });
    socket.write(head.replace("content-length: 0", `content-length: ${pieces}`));
    for (let i = 0; i < pieces && chunks.length === 0; i++) {
      await pause(PAUSE_MS);
      socket.write("x");
    }
    await ended;
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get("slow")).toBe("x".repeat(pieces));
  },
  UPLOAD_MS + 60_000,
);

async function upload(Key: string, sizes: number[]) {
  const { UploadId } = await sdk.send(new s3.CreateMultipartUploadCommand({ Bucket, Key }));
  const Parts: s3.CompletedPart[] = [];
  for (const [i, size] of sizes.entries()) {
    const part = { Bucket, Key, UploadId, PartNumber: i + 1, Body: Buffer.alloc(size, i) };
    Parts.push({ PartNumber: i + 1, ETag: (await sdk.send(new s3.UploadPartCommand(part))).ETag });
  }
  const complete = (parts = Parts) =>
    sdk.send(new s3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts: parts } }));
  return { UploadId, Parts, complete };
}

it("rule 25: ETags are quoted; of parts md5-of-md5s-N; unquoted ones do on Complete", async () => {
  const sizes = [5 * 2 ** 20, 1];
  const { Parts, complete } = await upload("parts", sizes);
  const unquoted = Parts.map((part) => ({ ...part, ETag: part.ETag?.replaceAll('"', "") ?? "" }));
  const digests = sizes.map((size, i) => createHash("md5").update(Buffer.alloc(size, i)).digest());
  const expected = `"${createHash("md5").update(Buffer.concat(digests)).digest("hex")}-2"`;
  expect((await complete(unquoted)).ETag).toBe(expected);
  const head = await plainRequest(server, "/rules/k", { method: "HEAD" });
  expect(head.status).toBe(403);
  expect((await sdk.send(new s3.HeadObjectCommand({ Bucket, Key: "parts" }))).ETag).toBe(expected);
  const { Contents } = await sdk.send(new s3.ListObjectsV2Command({ Bucket, Prefix: "parts" }));
  expect(Contents?.[0]?.ETag).toBe(expected);
});

it("rule 26: Complete: ascending, 5 MiB but the last, and again; a part that races Abort leaves nothing", async () => {
  const { Parts, complete } = await upload("complete", [5 * 2 ** 20, 1]);
  await expect(complete([...Parts].reverse())).rejects.toMatchObject({ name: "InvalidPartOrder" });
  const first = await complete();
  expect((await complete()).ETag).toBe(first.ETag);
  const small = await upload("small", [1, 1]);
  await expect(small.complete()).rejects.toMatchObject({ name: "EntityTooSmall" });
  const raced = { Bucket, Key: "small", UploadId: small.UploadId };
  const parts = [3, 4, 5, 6].map((PartNumber) =>
    sdk.send(new s3.UploadPartCommand({ ...raced, PartNumber, Body: "x" })).catch(() => undefined),
  );
  await Promise.all([...parts, sdk.send(new s3.AbortMultipartUploadCommand(raced))]);
  await expect(sdk.send(new s3.ListPartsCommand(raced))).rejects.toMatchObject({ name: "NoSuchUpload" });
  await missing("small");
});
