import * as s3 from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "./harness.js";
import { sdkClient } from "./sdk-clients.js";

let server: S3Server;
let sdk: s3.S3Client;

beforeAll(async () => {
  // A day of a second: what is a day old is ended while the test waits.
  server = await startS3({ env: { GRANARY_LIFECYCLE_DAY: "1s", GRANARY_LIFECYCLE_INTERVAL: "1s" } });
  sdk = sdkClient(server);
});

afterAll(async () => {
  sdk?.destroy();
  await server?.remove();
});

const WAIT_MS = 30_000;

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (
    const endMs = Date.now() + WAIT_MS;
    Date.now() < endMs;
    await new Promise((resolve) => setTimeout(resolve, 200))
  ) {
    if (await holds()) return;
  }
  throw new Error(`${what}: not so after ${WAIT_MS} ms\n${server.log()}`);
}

async function setUp(Bucket: string, rule: Omit<s3.LifecycleRule, "Status">, versions = false): Promise<void> {
  await sdk.send(new s3.CreateBucketCommand({ Bucket }));
  const VersioningConfiguration = { Status: "Enabled" } as const;
  if (versions) await sdk.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  const LifecycleConfiguration = { Rules: [{ Status: "Enabled" as const, ...rule }] };
  await sdk.send(new s3.PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }));
}

const put = (Bucket: string, Key: string, more: Partial<s3.PutObjectCommandInput> = {}) =>
  sdk.send(new s3.PutObjectCommand({ Bucket, Key, Body: "v", ...more }));
const keys = async (Bucket: string) =>
  ((await sdk.send(new s3.ListObjectsV2Command({ Bucket }))).Contents ?? []).map(({ Key }) => Key);
const versions = (Bucket: string) => sdk.send(new s3.ListObjectVersionsCommand({ Bucket }));

describe("the lifecycle worker of a server", () => {
  it("objects of a prefix: gone after their days, others stay", async () => {
    await setUp("expiring", { Filter: { Prefix: "tmp/" }, Expiration: { Days: 1 } });
    for (const key of ["kept", "tmp/a", "tmp/b"]) await put("expiring", key);
    await until("two are gone", async () => (await keys("expiring")).length === 1);
    expect(await keys("expiring")).toEqual(["kept"]);
  });

  it("objects with a tag: gone after their days, others stay", async () => {
    await setUp("tagged", { Filter: { Tag: { Key: "k", Value: "v" } }, Expiration: { Days: 1 } });
    await put("tagged", "a", { Tagging: "k=v" });
    await put("tagged", "b", { Tagging: "k=w" });
    await until("one is gone", async () => (await keys("tagged")).length === 1);
    expect(await keys("tagged")).toEqual(["b"]);
  });

  it("noncurrent versions: gone after their days, the current one stays", async () => {
    await setUp("versions", { Filter: { Prefix: "" }, NoncurrentVersionExpiration: { NoncurrentDays: 1 } }, true);
    for (let count = 0; count < 3; count += 1) await put("versions", "k");
    await until("two are gone", async () => (await versions("versions")).Versions?.length === 1);
    expect((await versions("versions")).Versions?.[0]?.IsLatest).toBe(true);
  });

  it("unfinished uploads: gone after their days", async () => {
    await setUp("uploads", { Filter: { Prefix: "" }, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } });
    await sdk.send(new s3.CreateMultipartUploadCommand({ Bucket: "uploads", Key: "k" }));
    const uploads = async () => (await sdk.send(new s3.ListMultipartUploadsCommand({ Bucket: "uploads" }))).Uploads;
    await until("it is gone", async () => ((await uploads()) ?? []).length === 0);
  });

  it("an object with a rule to come: told when and by which", async () => {
    await setUp("told", { ID: "some day", Filter: { Prefix: "" }, Expiration: { Days: 100_000 } });
    const { Expiration } = await put("told", "k");
    expect(Expiration).toMatch(/^expiry-date="[^"]+ GMT", rule-id="some%20day"$/);
    expect((await sdk.send(new s3.HeadObjectCommand({ Bucket: "told", Key: "k" }))).Expiration).toBe(Expiration);
  });
});
