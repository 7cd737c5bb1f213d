import * as s3 from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "./harness.js";
import { sdkClient } from "./sdk-clients.js";
import { signedRequest } from "./signed-request.js";

let server: S3Server;
let sdk: s3.S3Client;
const Bucket = "documents";

beforeAll(async () => {
  server = await startS3();
  sdk = sdkClient(server);
  await sdk.send(new s3.CreateBucketCommand({ Bucket }));
});

afterAll(async () => {
  sdk?.destroy();
  await server?.remove();
});

const refused = (name: string, status: number) => ({ name, $metadata: { httpStatusCode: status } });

describe("GetBucketVersioning and PutBucketVersioning", () => {
  const put = (bucket: string, Status: "Enabled" | "Suspended") =>
    sdk.send(new s3.PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status } }));
  const status = async (bucket: string) =>
    (await sdk.send(new s3.GetBucketVersioningCommand({ Bucket: bucket }))).Status;

  it("never set, enabled, suspended: as it was put", async () => {
    await sdk.send(new s3.CreateBucketCommand({ Bucket: "versions" }));
    expect(await status("versions")).toBeUndefined();
    await put("versions", "Enabled");
    expect(await status("versions")).toBe("Enabled");
    await put("versions", "Suspended");
    expect(await status("versions")).toBe("Suspended");
  });

  it("suspended where object lock is on: InvalidBucketState", async () => {
    await sdk.send(new s3.CreateBucketCommand({ Bucket: "versions-locked", ObjectLockEnabledForBucket: true }));
    await expect(put("versions-locked", "Suspended")).rejects.toMatchObject(refused("InvalidBucketState", 409));
    expect(await status("versions-locked")).toBe("Enabled");
  });

  it.each([
    ["MFA delete", "<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>", 501, "NotImplemented"],
    ["no status", "", 400, "IllegalVersioningConfigurationException"],
    ["another status", "<Status>On</Status>", 400, "MalformedXML"],
  ])("%s: refused", async (_, content, code, name) => {
    const body = `<VersioningConfiguration>${content}</VersioningConfiguration>`;
    const answer = await signedRequest(server, { method: "PUT", path: `/${Bucket}`, query: { versioning: "" }, body });
    expect([answer.status, answer.code]).toEqual([code, name]);
  });
});

describe("bucket tagging", () => {
  const TagSet = [
    { Key: "team", Value: "storage / ä" },
    { Key: "__proto__", Value: "" },
  ];

  it("put, got, put anew, deleted", async () => {
    const get = () => sdk.send(new s3.GetBucketTaggingCommand({ Bucket }));
    await expect(get()).rejects.toMatchObject(refused("NoSuchTagSet", 404));
    await sdk.send(new s3.PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
    expect((await get()).TagSet).toEqual(TagSet);
    await sdk.send(new s3.PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: [{ Key: "a", Value: "b" }] } }));
    expect((await get()).TagSet).toEqual([{ Key: "a", Value: "b" }]);
    const deleted = await sdk.send(new s3.DeleteBucketTaggingCommand({ Bucket }));
    expect(deleted.$metadata.httpStatusCode).toBe(204);
    await expect(get()).rejects.toMatchObject(refused("NoSuchTagSet", 404));
    await sdk.send(new s3.DeleteBucketTaggingCommand({ Bucket }));
  });

  it("51 tags: BadRequest", async () => {
    const many = Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: "" }));
    const put = sdk.send(new s3.PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: many } }));
    await expect(put).rejects.toMatchObject(refused("BadRequest", 400));
  });
});

describe("bucket CORS", () => {
  const rule = {
    ID: "one",
    AllowedHeaders: ["*"],
    AllowedMethods: ["GET", "PUT"],
    AllowedOrigins: ["https://*.example.com"],
    ExposeHeaders: ["ETag"],
    MaxAgeSeconds: 300,
  };
  const origin = "https://app.example.com";

  it("put, got, followed by preflights and answers, deleted", async () => {
    const get = () => sdk.send(new s3.GetBucketCorsCommand({ Bucket }));
    const preflight = (from: string, method: string) =>
      fetch(`${server.endpoint}/${Bucket}/k`, {
        method: "OPTIONS",
        headers: {
          origin: from,
          "access-control-request-method": method,
          "access-control-request-headers": "x-amz-date",
        },
      });
    await expect(get()).rejects.toMatchObject(refused("NoSuchCORSConfiguration", 404));
    expect((await preflight(origin, "GET")).status).toBe(403);
    await sdk.send(new s3.PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules: [rule] } }));
    expect((await get()).CORSRules).toEqual([rule]);

    const allowed = await preflight(origin, "PUT");
    expect(allowed.status).toBe(200);
    expect(Object.fromEntries(allowed.headers)).toMatchObject({
      "access-control-allow-origin": origin,
      "access-control-allow-methods": "GET, PUT",
      "access-control-allow-headers": "x-amz-date",
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "ETag",
      "access-control-max-age": "300",
    });
    const other = await preflight("https://evil.example.org", "PUT");
    expect([other.status, other.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    expect(await other.text()).toContain("<Code>AccessForbidden</Code>");
    expect((await preflight(origin, "DELETE")).status).toBe(403);

    await sdk.send(new s3.PutObjectCommand({ Bucket, Key: "k", Body: "v" }));
    const from = (text: string) =>
      signedRequest(server, { method: "GET", path: `/${Bucket}/k`, headers: { origin: text } });
    expect((await from(origin)).headers["access-control-allow-origin"]).toBe(origin);
    expect((await from("https://evil.example.org")).headers["access-control-allow-origin"]).toBeUndefined();
    const unsigned = await fetch(`${server.endpoint}/${Bucket}/k`, { headers: { origin } });
    expect([unsigned.status, unsigned.headers.get("access-control-allow-origin")]).toEqual([403, origin]);

    await sdk.send(new s3.DeleteBucketCorsCommand({ Bucket }));
    await expect(get()).rejects.toMatchObject(refused("NoSuchCORSConfiguration", 404));
    expect((await from(origin)).headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("a method that browsers do not ask for: InvalidRequest", async () => {
    const CORSRules = [{ AllowedMethods: ["PATCH"], AllowedOrigins: ["*"] }];
    const put = sdk.send(new s3.PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
    await expect(put).rejects.toMatchObject(refused("InvalidRequest", 400));
  });
});

describe("bucket lifecycle", () => {
  const rules: s3.LifecycleRule[] = [
    { ID: "days", Status: "Enabled", Filter: { Prefix: "tmp/" }, Expiration: { Days: 3 } },
    {
      ID: "date",
      Status: "Disabled",
      Filter: { And: { Prefix: "a", Tags: [{ Key: "k", Value: "v" }], ObjectSizeGreaterThan: 5 } },
      Expiration: { Date: new Date("2030-01-01T00:00:00Z") },
    },
    {
      ID: "versions",
      Status: "Enabled",
      Filter: { Prefix: "" },
      NoncurrentVersionExpiration: { NoncurrentDays: 1, NewerNoncurrentVersions: 2 },
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
    },
  ];

  it("put, got, deleted", async () => {
    const get = () => sdk.send(new s3.GetBucketLifecycleConfigurationCommand({ Bucket }));
    await expect(get()).rejects.toMatchObject(refused("NoSuchLifecycleConfiguration", 404));
    const LifecycleConfiguration = { Rules: rules };
    await sdk.send(new s3.PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }));
    const got = await get();
    expect(got.Rules).toEqual(rules);
    expect(got.TransitionDefaultMinimumObjectSize).toBe("all_storage_classes_128K");
    expect((await sdk.send(new s3.DeleteBucketLifecycleCommand({ Bucket }))).$metadata.httpStatusCode).toBe(204);
    await expect(get()).rejects.toMatchObject(refused("NoSuchLifecycleConfiguration", 404));
  });

  it("a transition: NotImplemented, and nothing of it is kept", async () => {
    const Transitions = [{ Days: 1, StorageClass: "GLACIER" as const }];
    const Rules = [{ ID: "t", Status: "Enabled" as const, Filter: { Prefix: "" }, Transitions }];
    const put = sdk.send(new s3.PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }));
    await expect(put).rejects.toMatchObject(refused("NotImplemented", 501));
    const get = sdk.send(new s3.GetBucketLifecycleConfigurationCommand({ Bucket }));
    await expect(get).rejects.toMatchObject(refused("NoSuchLifecycleConfiguration", 404));
  });
});

describe("object lock configuration", () => {
  const get = (bucket: string) => sdk.send(new s3.GetObjectLockConfigurationCommand({ Bucket: bucket }));
  const put = (bucket: string, rule?: s3.DefaultRetention) =>
    sdk.send(
      new s3.PutObjectLockConfigurationCommand({
        Bucket: bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: "Enabled",
          ...(rule ? { Rule: { DefaultRetention: rule } } : {}),
        },
      }),
    );

  it("a bucket without it: ObjectLockConfigurationNotFoundError, and InvalidBucketState to turn it on", async () => {
    await expect(get(Bucket)).rejects.toMatchObject(refused("ObjectLockConfigurationNotFoundError", 404));
    await expect(put(Bucket)).rejects.toMatchObject(refused("InvalidBucketState", 409));
  });

  it("a bucket with versions: turned on, a default set, followed, and removed", async () => {
    const bucket = "lock-later";
    await sdk.send(new s3.CreateBucketCommand({ Bucket: bucket }));
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await sdk.send(new s3.PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
    await put(bucket, { Mode: "GOVERNANCE", Days: 1 });
    expect((await get(bucket)).ObjectLockConfiguration?.Rule?.DefaultRetention).toEqual({
      Mode: "GOVERNANCE",
      Days: 1,
    });
    const beforeMs = Date.now();
    await sdk.send(new s3.PutObjectCommand({ Bucket: bucket, Key: "k", Body: "v" }));
    const head = await sdk.send(new s3.HeadObjectCommand({ Bucket: bucket, Key: "k" }));
    expect(head.ObjectLockMode).toBe("GOVERNANCE");
    const untilMs = head.ObjectLockRetainUntilDate?.getTime() ?? 0;
    expect(untilMs).toBeGreaterThanOrEqual(beforeMs + 86_400_000 - 1000);
    const remove = (VersionId: string | undefined) =>
      sdk.send(new s3.DeleteObjectCommand({ Bucket: bucket, Key: "k", VersionId }));
    await expect(remove(head.VersionId)).rejects.toMatchObject(refused("AccessDenied", 403));
    await put(bucket);
    expect((await get(bucket)).ObjectLockConfiguration).toEqual({ ObjectLockEnabled: "Enabled" });
    await sdk.send(new s3.PutObjectCommand({ Bucket: bucket, Key: "free", Body: "v" }));
    const free = await sdk.send(new s3.HeadObjectCommand({ Bucket: bucket, Key: "free" }));
    expect(free.ObjectLockMode).toBeUndefined();
  });

  it("zero days: InvalidArgument", async () => {
    await sdk.send(new s3.CreateBucketCommand({ Bucket: "lock-zero", ObjectLockEnabledForBucket: true }));
    await expect(put("lock-zero", { Mode: "GOVERNANCE", Days: 0 })).rejects.toMatchObject(
      refused("InvalidArgument", 400),
    );
  });
});

describe("what S3 has and Granary has not", () => {
  it.each<[string, string, RegExp]>([
    ["requestPayment", "", /<Payer>BucketOwner<\/Payer>/],
    ["accelerate", "", /<AccelerateConfiguration xmlns="[^"]+"\s*(\/>|><\/AccelerateConfiguration>)$/],
    ["logging", "", /<BucketLoggingStatus xmlns="[^"]+"\s*(\/>|><\/BucketLoggingStatus>)$/],
    ["notification", "", /<NotificationConfiguration xmlns="[^"]+"\s*(\/>|><\/NotificationConfiguration>)$/],
  ])("GET ?%s: as where it was never set", async (name, value, expected) => {
    const answer = await signedRequest(server, { method: "GET", path: `/${Bucket}`, query: { [name]: value } });
    expect([answer.status, answer.text]).toEqual([200, expect.stringMatching(expected)]);
  });

  it.each([
    ["encryption", "ServerSideEncryptionConfigurationNotFoundError"],
    ["replication", "ReplicationConfigurationNotFoundError"],
    ["website", "NoSuchWebsiteConfiguration"],
  ])("GET ?%s: 404 %s", async (name, code) => {
    const answer = await signedRequest(server, { method: "GET", path: `/${Bucket}`, query: { [name]: "" } });
    expect([answer.status, answer.code]).toEqual([404, code]);
  });

  it.each(["accelerate", "encryption", "logging", "notification", "replication", "website"])(
    "PUT ?%s: NotImplemented",
    async (name) => {
      const answer = await signedRequest(server, {
        method: "PUT",
        path: `/${Bucket}`,
        query: { [name]: "" },
        body: "<A/>",
      });
      expect([answer.status, answer.code]).toEqual([501, "NotImplemented"]);
    },
  );

  it("PUT ?requestPayment: the owner pays, or NotImplemented", async () => {
    const put = (payer: string) =>
      signedRequest(server, {
        ...{ method: "PUT", path: `/${Bucket}`, query: { requestPayment: "" } },
        body: `<RequestPaymentConfiguration><Payer>${payer}</Payer></RequestPaymentConfiguration>`,
      });
    expect((await put("BucketOwner")).status).toBe(200);
    expect([(await put("Requester")).code, (await put("Nobody")).code]).toEqual(["NotImplemented", "MalformedXML"]);
  });
});

describe("documents on their way in", () => {
  const send = (name: string, body: string, headers: Record<string, string> = {}) =>
    signedRequest(server, { method: "PUT", path: `/${Bucket}`, query: { [name]: "" }, body, headers });

  it.each(["cors", "lifecycle", "tagging", "object-lock"])("?%s without a digest: InvalidRequest", async (name) => {
    const answer = await send(name, "<A/>");
    expect([answer.status, answer.code]).toEqual([400, "InvalidRequest"]);
    expect(answer.text).toContain("Content-MD5 OR x-amz-checksum-*");
  });

  it.each(["cors", "lifecycle", "tagging", "object-lock"])(
    "?%s with an empty body: MissingRequestBodyError",
    async (name) => {
      const answer = await send(name, "", { "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" });
      expect([answer.status, answer.code]).toEqual([400, "MissingRequestBodyError"]);
    },
  );

  it("a wrong digest: BadDigest", async () => {
    const answer = await send("tagging", "<Tagging><TagSet/></Tagging>", { "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" });
    expect([answer.status, answer.code]).toEqual([400, "BadDigest"]);
  });

  it("larger than such a document can be: MaxMessageLengthExceeded", async () => {
    const answer = await send(
      "versioning",
      `<VersioningConfiguration>${" ".repeat(100_000)}</VersioningConfiguration>`,
    );
    expect([answer.status, answer.code]).toEqual([400, "MaxMessageLengthExceeded"]);
  });

  it("a billion laughs: MalformedXML", async () => {
    const bomb =
      '<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;">]><VersioningConfiguration>&c;</VersioningConfiguration>';
    expect((await send("versioning", bomb)).code).toBe("MalformedXML");
  });
});
