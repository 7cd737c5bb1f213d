import { randomBytes } from "node:crypto";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "../../s3/harness.js";
import { sdkClient } from "../../s3/sdk-clients.js";
import { clusterEnv } from "../cluster-env.js";
import { type Daemons, daemonsOfOwnCluster } from "./daemons.js";

let daemons: Daemons;
let gateway: S3Server;
let sdk: S3Client;
beforeAll(async () => {
  daemons = daemonsOfOwnCluster();
  const { endpoint, accessKey, secretKey, region } = clusterEnv().rgw;
  gateway = await startS3({
    flags: ["--engine", "s3"],
    env: {
      GRANARY_S3_UPSTREAM_ENDPOINT: endpoint,
      GRANARY_S3_UPSTREAM_ACCESS_KEY: accessKey,
      GRANARY_S3_UPSTREAM_SECRET_KEY: secretKey,
      GRANARY_S3_UPSTREAM_REGION: region,
      GRANARY_S3_UPSTREAM_PREFIX: `fail-${randomBytes(4).toString("hex")}-`,
    },
  });
  sdk = sdkClient(gateway);
});
afterAll(async () => {
  await daemons?.heal();
  sdk?.destroy();
  await gateway?.remove();
});

describe("the gateway's upstream is killed", () => {
  it("every request gets a clear 503, and works again by itself when the upstream is back", async () => {
    const named = { Bucket: "bucket", Key: "key" };
    await sdk.send(new CreateBucketCommand({ Bucket: "bucket" }));
    await sdk.send(new PutObjectCommand({ ...named, Body: "before" }));
    daemons.kill("rgw.a");
    for (const command of [new GetObjectCommand(named), new PutObjectCommand({ ...named, Body: "while it is down" })]) {
      const error = await sdk.send(command as GetObjectCommand).catch((thrown: unknown) => thrown);
      const { name, $metadata, message } = error as Error & { $metadata: { httpStatusCode?: number } };
      expect([name, $metadata?.httpStatusCode]).toEqual([expect.stringMatching(/ServiceUnavailable|SlowDown/), 503]);
      expect(message).not.toBe("");
    }
    daemons.start("rgw.a");
    let text: string | undefined;
    while (text === undefined) {
      const answer = await sdk.send(new GetObjectCommand(named)).catch(() => undefined);
      text = await answer?.Body?.transformToString();
      if (text === undefined) await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(text).toBe("before");
    await sdk.send(new PutObjectCommand({ ...named, Body: "after" }));
  });
});
