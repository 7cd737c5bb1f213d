import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { Client as MinioClient } from "minio";
import type { S3Server } from "./harness.js";

export interface KeyPair {
  accessKey: string;
  secretKey: string;
}

function agent(server: S3Server): HttpAgent | HttpsAgent {
  return server.caFile === undefined ? new HttpAgent() : new HttpsAgent({ ca: readFileSync(server.caFile) });
}

/** The `minio` client, as the root user unless another is named. */
export function minioClient(server: S3Server, { accessKey, secretKey }: KeyPair = server): MinioClient {
  const { hostname, port } = new URL(server.endpoint);
  return new MinioClient({
    ...{ endPoint: hostname, port: Number(port), accessKey, secretKey },
    useSSL: server.https,
    region: server.region,
    pathStyle: true,
    transportAgent: agent(server),
  });
}

/** The AWS SDK for JavaScript v3, as the root user unless another is named; path style, without retries. */
export function sdkClient(server: S3Server, { accessKey, secretKey }: KeyPair = server, more: S3ClientConfig = {}) {
  return new S3Client({
    endpoint: server.endpoint,
    region: server.region,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    forcePathStyle: true,
    maxAttempts: 1,
    requestHandler: server.https ? { httpsAgent: agent(server) } : { httpAgent: agent(server) },
    ...more,
  });
}
