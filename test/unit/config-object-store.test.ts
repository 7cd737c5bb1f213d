import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { openLog } from "../../src/runtime/log.js";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "granary-config-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const file = (text: string): string => {
  const path = join(dir, "granary.yaml");
  writeFileSync(path, text);
  return path;
};
const fromEnvironment = (environment: Record<string, string>) => loadConfig({}, environment);
const refusal = (environment: Record<string, string>) => {
  try {
    fromEnvironment(environment);
  } catch (error) {
    return (error as Error).message;
  }
  return "taken";
};

describe("the object store's config", () => {
  it.each([
    [{ GRANARY_S3_ENABLED: "false" }, { s3Enabled: false }],
    [{ GRANARY_S3_LISTEN: "[::]:9000" }, { s3Listen: "[::]:9000" }],
    [{ GRANARY_WORKERS: "3" }, { workers: 3 }],
    [
      { GRANARY_TLS_CERT: "/c", GRANARY_TLS_KEY: "k" },
      { tlsCert: "/c", tlsKey: join(process.cwd(), "k") },
    ],
    [{ GRANARY_REGION: "eu-north-1" }, { region: "eu-north-1" }],
    [{ GRANARY_DOMAIN: "S3.example.com, s3.local" }, { domains: ["s3.example.com", "s3.local"] }],
    [{ GRANARY_TRUSTED_PROXIES: "10.0.0.0/8,::1" }, { trustedProxies: ["10.0.0.0/8", "::1"] }],
    [{ GRANARY_LIFECYCLE_DAY: "10s" }, { lifecycleDayMs: 10_000, lifecycleIntervalMs: 1000 }],
    [{ GRANARY_LIFECYCLE_DAY: "2d" }, { lifecycleDayMs: 172_800_000, lifecycleIntervalMs: 7_200_000 }],
    [{}, { stallMs: 60_000 }],
    [{ GRANARY_STALL_TIMEOUT: "1500ms" }, { stallMs: 1500 }],
    [{ GRANARY_LIFECYCLE_INTERVAL: "5m" }, { lifecycleDayMs: 86_400_000, lifecycleIntervalMs: 300_000 }],
    [{ GRANARY_DEFAULT_OBJECT_OWNERSHIP: "BucketOwnerEnforced" }, { defaultObjectOwnership: "BucketOwnerEnforced" }],
    [{ GRANARY_INLINE_BYTES: "4096" }, { inlineBytes: 4096 }],
  ] as const)("%j is taken", (environment, expected) => {
    expect(fromEnvironment(environment)).toMatchObject(expected);
  });

  it("a YAML file may hold lists, numbers and booleans", () => {
    const path = file("domain: [a.example, b.example]\nworkers: 2\ns3Enabled: false\nlifecycleDay: 60\n");
    expect(loadConfig({ config: path }, {})).toMatchObject({
      ...{ domains: ["a.example", "b.example"], workers: 2, s3Enabled: false },
      lifecycleDayMs: 60_000,
    });
  });

  it.each([
    [{ GRANARY_S3_ENABLED: "maybe" }, /s3Enabled \(GRANARY_S3_ENABLED\): must be true or false/],
    [{ GRANARY_S3_LISTEN: "9000" }, /s3Listen.*must be HOST:PORT/],
    [{ GRANARY_S3_LISTEN: "" }, /s3Listen.*must be HOST:PORT/],
    [{ GRANARY_S3_LISTEN: "a:65536" }, /s3Listen.*must be HOST:PORT/],
    [{ GRANARY_WORKERS: "0" }, /workers.*must be auto, or a number from 1/],
    [{ GRANARY_WORKERS: "many" }, /workers.*must be auto, or a number from 1/],
    [{ GRANARY_TLS_CERT: "/c" }, /tlsCert and tlsKey go together/],
    [{ GRANARY_TLS_KEY: "/k" }, /tlsCert and tlsKey go together/],
    [{ GRANARY_REGION: "Mars/1" }, /region.*must be a region's name/],
    [{ GRANARY_DOMAIN: "http://s3.example" }, /domain.*is not a domain name/],
    [{ GRANARY_DOMAIN: "127.0.0.1" }, /domain.*is not a domain name/],
    [{ GRANARY_TRUSTED_PROXIES: "proxy.local" }, /trustedProxies.*is not an address or network/],
    [{ GRANARY_TRUSTED_PROXIES: "10.0.0.0/33" }, /trustedProxies.*is not an address or network/],
    [{ GRANARY_TRUSTED_PROXIES: "10.0.0.0/8/8" }, /trustedProxies.*is not an address or network/],
    [{ GRANARY_LIFECYCLE_DAY: "soon" }, /lifecycleDay.*is not a duration/],
    [{ GRANARY_LIFECYCLE_DAY: "0" }, /lifecycleDay.*must be from 1ms/],
    [{ GRANARY_LIFECYCLE_DAY: "25d" }, /lifecycleDay.*to 24d/],
    [{ GRANARY_DEFAULT_OBJECT_OWNERSHIP: "Mine" }, /defaultObjectOwnership/],
    [{ GRANARY_INLINE_BYTES: "-1" }, /inlineBytes.*must be auto, or a number/],
  ])("%j is refused with what would be right", (environment, expected) => {
    expect(refusal(environment)).toMatch(expected);
  });
});

describe("class of hole: default or derived secrets", () => {
  it("without configured root credentials there are none: the server makes a random pair", () => {
    expect(fromEnvironment({}).rootCredentials).toBeUndefined();
    expect(
      fromEnvironment({ GRANARY_ROOT_ACCESS_KEY: "", GRANARY_ROOT_SECRET_KEY: "" }).rootCredentials,
    ).toBeUndefined();
  });

  it("an access key without a secret, or a secret without a key: refused, none is filled in", () => {
    expect(refusal({ GRANARY_ROOT_ACCESS_KEY: "root-key" })).toMatch(/rootSecretKey.*is missing: set both/);
    expect(refusal({ GRANARY_ROOT_SECRET_KEY: "hunter2hunter2" })).toMatch(/rootAccessKey.*is missing: set both/);
  });

  it.each([
    ["ab", "hunter2hunter2", /3 to 128 characters/],
    ["a/b", "hunter2hunter2", /only letters, digits/],
    ["root", "hunter2", /8 to 128 characters, not 7/],
    ["root", "hunter2 hunter2", /only visible ASCII/],
  ])("%j with %j: refused, and the secret is not in the message", (accessKey, secretKey, expected) => {
    const message = refusal({ GRANARY_ROOT_ACCESS_KEY: accessKey, GRANARY_ROOT_SECRET_KEY: secretKey });
    expect(message).toMatch(expected);
    expect(message).not.toContain(secretKey);
  });
});

describe("class of hole: secrets in logs", () => {
  const config = () =>
    fromEnvironment({ GRANARY_ROOT_ACCESS_KEY: "root-key", GRANARY_ROOT_SECRET_KEY: "hunter2hunter2" });

  it("the root secret can be read, and is in no dump of the config", () => {
    const { rootCredentials } = config();
    expect(rootCredentials?.secretKey.reveal()).toBe("hunter2hunter2");
    for (const dump of [JSON.stringify(config()), inspect(config(), { depth: 9 }), `${rootCredentials?.secretKey}`]) {
      expect(dump).not.toContain("hunter2");
      expect(dump).toContain("[secret]");
    }
  });

  it("nor in a log line, be it the config, a key of a user or a request's headers", () => {
    const lines: string[] = [];
    const destination = { write: (text: string) => void lines.push(text) };
    const log = openLog({ level: "info", role: "objectstore", readable: false, destination });
    log.info({ config: config() }, "config");
    log.info({ key: { id: "AK", secret: "hunter2" } }, "a user's key");
    log.info({ secretKey: "hunter2" }, "an answer");
    log.info({ headers: { authorization: "Bearer hunter2" } }, "a request");
    expect(lines).toHaveLength(4);
    expect(lines.join("")).not.toContain("hunter2");
  });
});
