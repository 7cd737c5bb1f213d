import { randomBytes } from "node:crypto";
import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  PutBucketPolicyCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { createPresignedPost, type PresignedPostOptions } from "@aws-sdk/s3-presigned-post";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256 } from "../unit/s3-requests.js";
import { plainRequest, type S3Server, startS3 } from "./harness.js";
import { minioClient, sdkClient } from "./sdk-clients.js";

let server: S3Server;
let sdk: S3Client;
beforeAll(async () => {
  server = await startS3();
  sdk = sdkClient(server);
  for (const Bucket of ["forms", "public"]) await sdk.send(new CreateBucketCommand({ Bucket }));
  const Statement = [{ Effect: "Allow", Principal: "*", Action: "s3:PutObject", Resource: "arn:aws:s3:::public/*" }];
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await sdk.send(new PutBucketPolicyCommand({ Bucket: "public", Policy }));
});
afterAll(async () => {
  sdk?.destroy();
  await server?.remove();
});

type Fields = Record<string, string>;

const BOUNDARY = "----boundary";

function encode(fields: Fields, file: Buffer | string | undefined, after: Fields = {}): Buffer {
  const part = (head: string, body: Buffer | string): Buffer =>
    Buffer.concat([
      Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
      Buffer.from(body),
      Buffer.from("\r\n"),
    ]);
  const parts = (of: Fields): Buffer[] => Object.entries(of).map(([name, value]) => part(`name="${name}"`, value));
  const fileParts = file === undefined ? [] : [part('name="file"; filename="dir/f.txt"', file)];
  return Buffer.concat([...parts(fields), ...fileParts, ...parts(after), Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

const send = (bucket: string, body: Buffer, headers: Record<string, string> = {}) =>
  plainRequest(server, `/${bucket}`, {
    ...{ method: "POST", body },
    headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}`, ...headers },
  });

/** A form as the SDK signs it, with `add` put in after it was signed. */
async function post(
  options: Omit<PresignedPostOptions, "Bucket">,
  file: Buffer | string | undefined,
  { add = {}, remove = [], after = {} }: { add?: Fields; remove?: string[]; after?: Fields } = {},
) {
  const { fields } = await createPresignedPost(sdk, { Bucket: "forms", Expires: 60, ...options });
  const sent = Object.entries({ ...fields, ...add }).filter(([name]) => !remove.includes(name));
  return send("forms", encode(Object.fromEntries(sent), file, after));
}

const get = (Key: string, Bucket = "forms") => sdk.send(new GetObjectCommand({ Bucket, Key }));
const bytesOf = async (Key: string, Bucket = "forms") =>
  Buffer.from((await (await get(Key, Bucket)).Body?.transformToByteArray()) ?? []);
const codeOf = ({ status, body }: { status: number; body: Buffer }) => [
  status,
  /<Code>(.*?)<\/Code>/.exec(body.toString())?.[1],
];
const messageOf = ({ body }: { body: Buffer }) => /<Message>(.*?)<\/Message>/.exec(body.toString())?.[1];

describe("PostObject", () => {
  it("a signed form: stored with its fields, 204, where it is", async () => {
    const Fields = {
      "Content-Type": "text/x",
      "x-amz-meta-a": "b",
      acl: "private",
      tagging: "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
    };
    const answer = await post({ Key: "a/b c", Fields }, "hello");
    expect([answer.status, answer.headers.location]).toEqual([204, `${server.endpoint}/forms/a%2Fb%20c`]);
    expect(answer.headers.etag).toBe('"5d41402abc4b2a76b9719d911017c592"');
    const object = await get("a/b c");
    expect([object.ContentType, object.Metadata, await object.Body?.transformToString()]).toEqual([
      "text/x",
      { a: "b" },
      "hello",
    ]);
    const { TagSet } = await sdk.send(new GetObjectTaggingCommand({ Bucket: "forms", Key: "a/b c" }));
    expect(TagSet).toEqual([{ Key: "k", Value: "v" }]);
  });

  it("success_action_status 200, 201, another; success_action_redirect", async () => {
    const status = (value: string) => post({ Key: "s", Fields: { success_action_status: value } }, "hello");
    expect((await status("200")).status).toBe(200);
    expect((await status("404")).status).toBe(204);
    const created = await status("201");
    expect(created.status).toBe(201);
    expect(created.body.toString()).toContain(
      `<PostResponse><Location>${server.endpoint}/forms/s</Location><Bucket>forms</Bucket><Key>s</Key><ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag></PostResponse>`,
    );
    const redirect = (to: string) => post({ Key: "a b", Fields: { success_action_redirect: to } }, "hello");
    const there = await redirect("https://example.test/done?x=1");
    expect([there.status, there.headers.location]).toEqual([
      303,
      "https://example.test/done?x=1&bucket=forms&key=a+b&etag=%225d41402abc4b2a76b9719d911017c592%22",
    ]);
    expect((await redirect("javascript:alert(1)")).status).toBe(204);
    expect((await redirect("not a url")).status).toBe(204);
  });

  it("the file's name in the key; what follows the file is ignored", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: S3's own placeholder
    const answer = await post({ Key: "u/${filename}" }, "named", { after: { acl: "public-read", key: "other" } });
    expect(answer.status).toBe(204);
    expect((await bytesOf("u/f.txt")).toString()).toBe("named");
  });

  it("20 MiB: as sent; no bytes at all: an empty object", async () => {
    const body = randomBytes(20 * 2 ** 20);
    expect((await post({ Key: "large" }, body)).status).toBe(204);
    expect(sha256(await bytesOf("large"))).toBe(sha256(body));
    expect((await post({ Key: "empty" }, "")).status).toBe(204);
    expect((await bytesOf("empty")).length).toBe(0);
  });

  it("content-length-range: enforced while streaming, at both ends, and nothing is stored", async () => {
    const Conditions = [["content-length-range", 5, 2_000_000]] as const;
    const ranged = (body: Buffer | string) => post({ Key: "ranged", Conditions: [...Conditions] as never }, body);
    expect(codeOf(await ranged(randomBytes(2_000_001)))).toEqual([400, "EntityTooLarge"]);
    expect(codeOf(await ranged("four"))).toEqual([400, "EntityTooSmall"]);
    await expect(get("ranged")).rejects.toMatchObject({ name: "NoSuchKey" });
    expect((await ranged("fives")).status).toBe(204);
    expect((await ranged(randomBytes(2_000_000))).status).toBe(204);
  });

  it("POST policy unenforced: fields beside or against it: 403, and nothing is stored", async () => {
    const options = { Key: "held" };
    const against = [
      { add: { acl: "public-read" } },
      { add: { "x-amz-meta-a": "b" } },
      { add: { success_action_redirect: "https://example.test" } },
      { add: { key: "other" } },
      { add: { bucket: "public" } },
    ];
    for (const change of against) expect(codeOf(await post(options, "x", change))).toEqual([403, "AccessDenied"]);
    const extra = await post(options, "x", { add: { acl: "private" } });
    expect(messageOf(extra)).toBe("Invalid according to Policy: Extra input fields: acl");
    for (const key of ["held", "other"]) await expect(get(key)).rejects.toMatchObject({ name: "NoSuchKey" });
    expect((await post(options, "x", { add: { "x-ignore-a": "b" } })).status).toBe(204);
  });

  it("for one bucket's form, sent to another: 403", async () => {
    const { fields } = await createPresignedPost(sdk, { Bucket: "forms", Key: "k" });
    expect(codeOf(await send("public", encode(fields, "x")))).toEqual([403, "AccessDenied"]);
  });

  it("signature skipped for one credential kind: a wrong signature, a part left out, an unknown key: refused", async () => {
    const options = { Key: "signed" };
    expect(codeOf(await post(options, "x", { add: { "X-Amz-Signature": "0".repeat(64) } }))).toEqual([
      403,
      "SignatureDoesNotMatch",
    ]);
    for (const name of ["Policy", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Algorithm"]) {
      expect(codeOf(await post(options, "x", { remove: [name] }))).toEqual([400, "InvalidArgument"]);
    }
    expect(codeOf(await send("forms", encode({ key: "signed" }, "x")))).toEqual([403, "AccessDenied"]);
    await expect(get("signed")).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  it("nobody's form: where the bucket lets anybody write", async () => {
    expect((await send("public", encode({ key: "anybody" }, "x"))).status).toBe(204);
    expect((await bytesOf("anybody", "public")).toString()).toBe("x");
    expect(codeOf(await send("public", encode({ key: "anybody", acl: "public-read" }, "x")))[0]).toBeGreaterThanOrEqual(
      400,
    );
  });

  it("digests in fields: verified", async () => {
    const md5 = "XUFAKrxLKna5cZ2REBfFkg==";
    expect((await post({ Key: "md5", Fields: { "Content-MD5": md5 } }, "hello")).status).toBe(204);
    expect(codeOf(await post({ Key: "md5", Fields: { "Content-MD5": md5 } }, "other"))).toEqual([400, "BadDigest"]);
    const checksum = { "x-amz-checksum-crc32": "NhCmhg==" };
    expect((await post({ Key: "crc", Fields: checksum }, "hello")).status).toBe(204);
    expect(codeOf(await post({ Key: "crc", Fields: checksum }, "other"))).toEqual([400, "BadDigest"]);
  });

  it("encryption asked for: 501, and nothing is stored", async () => {
    const Fields = { "x-amz-server-side-encryption": "AES256" };
    expect(codeOf(await post({ Key: "encrypted", Fields }, "x"))).toEqual([501, "NotImplemented"]);
    await expect(get("encrypted")).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  it("no file, no key, an empty or too long one, no form at all: refused", async () => {
    expect(codeOf(await post({ Key: "k" }, undefined))).toEqual([400, "InvalidArgument"]);
    expect(codeOf(await post({ Key: "k" }, "x", { remove: ["key"] }))).toEqual([400, "InvalidArgument"]);
    expect(codeOf(await send("public", encode({ key: "" }, "x")))).toEqual([400, "InvalidArgument"]);
    expect(codeOf(await send("public", encode({ key: "k".repeat(1025) }, "x")))).toEqual([400, "KeyTooLongError"]);
    expect(codeOf(await send("public", encode({ key: "k" }, "x"), { "content-type": "text/plain" }))).toEqual([
      412,
      "PreconditionFailed",
    ]);
    expect(codeOf(await send("public", Buffer.from("nonsense")))).toEqual([400, "MalformedPOSTRequest"]);
    expect(codeOf(await send("nosuch", encode({ key: "k" }, "x")))).toEqual([404, "NoSuchBucket"]);
    expect(codeOf(await send("public", encode({ key: "k", a: "b".repeat(21_000) }, "x")))).toEqual([
      400,
      "MaxPostPreDataLengthExceededError",
    ]);
  });

  it("minio's presigned policy: taken", async () => {
    const minio = minioClient(server);
    const policy = minio.newPostPolicy();
    policy.setBucket("forms");
    policy.setKey("of minio");
    policy.setContentLengthRange(1, 10);
    policy.setExpires(new Date(Date.now() + 60_000));
    const { formData } = await minio.presignedPostPolicy(policy);
    expect((await send("forms", encode(formData as Fields, "hello"))).status).toBe(204);
    expect((await bytesOf("of minio")).toString()).toBe("hello");
  });
});
