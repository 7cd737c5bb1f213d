import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/config.js";

const dir = mkdtempSync(join(tmpdir(), "granary-config-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const ENV = {
  GRANARY_OBJECT_ENGINE: "s3",
  GRANARY_S3_UPSTREAM_ENDPOINT: "http://rgw.example.com:7480/",
  GRANARY_S3_UPSTREAM_ACCESS_KEY: "UPSTREAMKEY",
  GRANARY_S3_UPSTREAM_SECRET_KEY: "very-secret",
};

function load(text: string, environment: Record<string, string> = {}) {
  const config = join(dir, "config.yaml");
  writeFileSync(config, text);
  return loadConfig({ config }, environment);
}

describe("the upstream S3 service in the config", () => {
  it("by environment, with defaults, its secret shown to nobody", () => {
    const { objectEngine, s3Upstream } = loadConfig({}, ENV);
    expect(objectEngine).toBe("s3");
    expect(s3Upstream?.secretKey.reveal()).toBe("very-secret");
    expect(JSON.parse(JSON.stringify(s3Upstream))).toEqual({
      ...{ endpoint: "http://rgw.example.com:7480", accessKey: "UPSTREAMKEY", secretKey: "[secret]" },
      ...{ region: "us-east-1", prefix: "granary-" },
    });
  });

  it("by a map in the file; the environment wins", () => {
    const text =
      "objectEngine: s3\ns3Upstream: {endpoint: 'https://a', accessKey: k, secretKey: s, prefix: p-, region: r}";
    const { s3Upstream } = load(text, { GRANARY_S3_UPSTREAM_REGION: "other" });
    expect(s3Upstream).toMatchObject({ endpoint: "https://a", accessKey: "k", prefix: "p-", region: "other" });
  });

  it("is there for moving buckets too, where it is not the engine", () => {
    const { GRANARY_OBJECT_ENGINE: _, ...rest } = ENV;
    expect(loadConfig({}, rest)).toMatchObject({ objectEngine: "local", s3Upstream: { accessKey: "UPSTREAMKEY" } });
    expect(loadConfig({}, {}).s3Upstream).toBeUndefined();
  });

  it.each([
    ["GRANARY_S3_UPSTREAM_ENDPOINT", "", "s3Upstream.endpoint (GRANARY_S3_UPSTREAM_ENDPOINT) is missing"],
    ["GRANARY_S3_UPSTREAM_ENDPOINT", "rgw:7480", "s3Upstream.endpoint"],
    ["GRANARY_S3_UPSTREAM_ENDPOINT", "http://user:word@rgw", "s3Upstream.endpoint"],
    ["GRANARY_S3_UPSTREAM_ENDPOINT", "http://rgw/path", "s3Upstream.endpoint"],
    ["GRANARY_S3_UPSTREAM_ACCESS_KEY", "", "s3Upstream.accessKey (GRANARY_S3_UPSTREAM_ACCESS_KEY) is missing"],
    ["GRANARY_S3_UPSTREAM_SECRET_KEY", "", "s3Upstream.secretKey (GRANARY_S3_UPSTREAM_SECRET_KEY) is missing"],
    ["GRANARY_S3_UPSTREAM_PREFIX", "x", "s3UpstreamPrefix"],
    ["GRANARY_S3_UPSTREAM_PREFIX", "Upper-", "s3UpstreamPrefix"],
    ["GRANARY_OBJECT_ENGINE", "ceph", "objectEngine"],
  ])("%s=%s: refused by name, without the secret", (name, value, message) => {
    const refusal = () => loadConfig({}, { ...ENV, [name]: value });
    expect(refusal).toThrow(message);
    expect(refusal).not.toThrow("very-secret");
  });

  it("an unknown key in the map is named, with the nearest", () => {
    expect(() => load("s3Upstream: {endpont: 'http://a'}")).toThrow('did you mean "endpoint"');
    expect(() => load("s3Upstream: [a]")).toThrow("must hold keys and values");
  });
});
