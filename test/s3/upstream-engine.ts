import { createHash } from "node:crypto";
import { UpstreamClient } from "../../src/engines/s3/client.js";
import { removeBuckets, upstreamSettings } from "../ceph/upstream-leftovers.js";

/**
 * With GRANARY_TEST_OBJECT_ENGINE=s3 the servers of these tests have their objects on the RGW of the cluster that
 * GRANARY_TEST_CEPH_ENV names: the Ceph stage's.
 */
const ENGINE = process.env.GRANARY_TEST_OBJECT_ENGINE ?? "local";

export const isUpstream = ENGINE === "s3";

export interface TestUpstream {
  /** What a server is told. */
  env: Record<string, string>;
  /** The buckets that it left. */
  remove(): Promise<void>;
}

/** For a server of this data dir: a later one of the same folder finds the same buckets. */
export function testUpstream(dataDir: string): TestUpstream {
  if (!isUpstream) return { env: {}, remove: () => Promise.resolve() };
  const settings = upstreamSettings(`t${createHash("sha256").update(dataDir).digest("hex").slice(0, 10)}-`);
  return {
    env: {
      GRANARY_OBJECT_ENGINE: "s3",
      GRANARY_S3_UPSTREAM_ENDPOINT: settings.endpoint,
      GRANARY_S3_UPSTREAM_ACCESS_KEY: settings.accessKey,
      GRANARY_S3_UPSTREAM_SECRET_KEY: settings.secretKey,
      GRANARY_S3_UPSTREAM_REGION: settings.region,
      GRANARY_S3_UPSTREAM_PREFIX: settings.prefix,
    },
    remove: async () => {
      const client = new UpstreamClient(settings);
      await removeBuckets(client);
      client.close();
    },
  };
}
