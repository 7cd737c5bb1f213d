import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { environmentName, loadConfig } from "../../src/config/config.js";

let dir = "";
const file = (text: string): string => {
  const path = join(dir, "granary.yaml");
  writeFileSync(path, text);
  return path;
};
const refusal = (flags: Parameters<typeof loadConfig>[0], environment = {}) => {
  try {
    loadConfig(flags, environment);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "taken";
};

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "granary-config-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("loadConfig", () => {
  it("has a default for every key, and is frozen", () => {
    const config = loadConfig({}, {});
    expect(config).toEqual({
      objectEngine: "local",
      s3Upstream: undefined,
      crashAt: "",
      dataDir: "/var/lib/granary",
      poolDir: "/var/lib/granary/pool",
      csiEndpoint: "unix:///var/lib/granary/csi.sock",
      nodeId: hostname(),
      overcommit: 10,
      lowSpaceRatio: 0.05,
      logLevel: "info",
      metricsAddress: "127.0.0.1:9810",
      s3Enabled: true,
      s3Listen: "127.0.0.1:9000",
      stallMs: 60_000,
      workers: availableParallelism(),
      tlsCert: "",
      tlsKey: "",
      region: "us-east-1",
      domains: [],
      rootCredentials: undefined,
      trustedProxies: [],
      lifecycleDayMs: 86_400_000,
      lifecycleIntervalMs: 3_600_000,
      defaultObjectOwnership: "ObjectWriter",
      inlineBytes: undefined,
      clusters: [],
      explicit: new Set(),
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("the socket is the caller's to name, and csiEndpoint's to override", () => {
    expect(loadConfig({}, {}, "node.sock").csiEndpoint).toBe("unix:///var/lib/granary/node.sock");
    const csiEndpoint = "unix:///e.sock";
    expect(loadConfig({ csiEndpoint }, {}, "node.sock").csiEndpoint).toBe(csiEndpoint);
  });

  it("a flag wins over the environment, that over the file, that over the default", () => {
    const config = file("nodeId: from-file\n");
    expect(loadConfig({ config }, {}).nodeId).toBe("from-file");
    expect(loadConfig({ config }, { GRANARY_NODE_ID: "from-environment" }).nodeId).toBe("from-environment");
    expect(loadConfig({ config, nodeId: "from-flag" }, { GRANARY_NODE_ID: "from-environment" }).nodeId).toBe(
      "from-flag",
    );
    expect(loadConfig({}, { GRANARY_CONFIG: config }).nodeId).toBe("from-file");
  });

  it.each([
    ["dataDir", "GRANARY_DATA_DIR", "/d", "/d"],
    ["poolDir", "GRANARY_POOL_DIR", "/p", "/p"],
    ["csiEndpoint", "GRANARY_CSI_ENDPOINT", "unix:///e.sock", "unix:///e.sock"],
    ["nodeId", "GRANARY_NODE_ID", "n", "n"],
    ["overcommit", "GRANARY_OVERCOMMIT", "2.5", 2.5],
    ["lowSpaceRatio", "GRANARY_LOW_SPACE_RATIO", "0.2", 0.2],
    ["logLevel", "GRANARY_LOG_LEVEL", "debug", "debug"],
    ["metricsAddress", "GRANARY_METRICS_ADDRESS", "[::1]:0", "[::1]:0"],
  ] as const)("%s is %s in the environment, a key in the file and a flag", (key, name, text, value) => {
    expect(environmentName(key)).toBe(name);
    for (const config of [
      loadConfig({}, { [name]: text }),
      loadConfig({ [key]: text }, {}),
      loadConfig({ config: file(`${key}: ${JSON.stringify(text)}\n`) }, {}),
    ]) {
      expect(config[key]).toBe(value);
      expect([...config.explicit]).toEqual([key]);
    }
  });

  it("paths are made absolute, and what lies in the data dir follows it", () => {
    const config = loadConfig({ dataDir: "here" }, {});
    expect(config.dataDir).toBe(join(process.cwd(), "here"));
    expect(config.poolDir).toBe(join(process.cwd(), "here/pool"));
    expect(config.csiEndpoint).toBe(`unix://${join(process.cwd(), "here/csi.sock")}`);
  });

  it("an unknown key names the file and the nearest known key", () => {
    const config = file("dataDri: /d\n");
    expect(refusal({ config })).toBe(
      `invalid-argument: config: ${config}: unknown key "dataDri"; did you mean "dataDir"?`,
    );
    expect(refusal({ config: file("explicit: true\n") })).toMatch(/unknown key "explicit"/);
  });

  it.each([
    ["a list", "- a\n- b\n", /must hold keys and values/],
    ["one word", "word\n", /must hold keys and values/],
    ["no YAML", "a: [\n", /cannot be read/],
  ])("a file that holds %s is refused", (_what, text, expected) => {
    expect(refusal({ config: file(text) })).toMatch(expected);
  });

  it("an empty file is no config; a missing one is refused", () => {
    expect(loadConfig({ config: file("") }, {}).overcommit).toBe(10);
    expect(refusal({ config: join(dir, "none.yaml") })).toMatch(/none\.yaml cannot be read/);
  });

  it.each([
    ["dataDir", ""],
    ["nodeId", ""],
    ["nodeId", "n".repeat(257)],
    ["nodeId", "é".repeat(129)],
    ["overcommit", "0.5"],
    ["overcommit", "1001"],
    ["overcommit", "much"],
    ["lowSpaceRatio", "-0.1"],
    ["lowSpaceRatio", "0.6"],
    ["logLevel", "loud"],
  ])("%s: %j is refused, naming key and variable", (key, value) => {
    expect(refusal({ [key]: value })).toMatch(
      new RegExp(`^invalid-argument: config: ${key} \\(${environmentName(key)}\\)`),
    );
    expect(refusal({}, { [environmentName(key)]: value })).toMatch(/^invalid-argument/);
  });

  it.each([
    "http://a/b.sock",
    "/run/a.sock",
    "unix://a.sock",
    "unix:///run/granary",
    "unix:///run/a.socket",
    "tcp://:1",
  ])("the endpoint %s is no unix:///absolute/path.sock", (csiEndpoint) => {
    expect(refusal({ csiEndpoint })).toMatch(/must be unix:\/\/\/absolute\/path\.sock/);
  });

  it("an endpoint's path may have 107 bytes and no more, a data dir's own too", () => {
    const path = (bytes: number) => `/${"a".repeat(bytes - 6)}.sock`;
    expect(loadConfig({ csiEndpoint: `unix://${path(107)}` }, {}).csiEndpoint).toBe(`unix://${path(107)}`);
    expect(refusal({ csiEndpoint: `unix://${path(108)}` })).toMatch(/longer than a unix socket's 107 bytes/);
    expect(refusal({ dataDir: `/${"a".repeat(120)}` })).toMatch(/107 bytes/);
  });

  it.each(["127.0.0.1:9810", "0.0.0.0:0", "localhost:65535", "[::1]:9810", ""])(
    "metricsAddress %j is taken",
    (address) => {
      expect(loadConfig({ metricsAddress: address }, {}).metricsAddress).toBe(address);
    },
  );

  it.each(["9810", ":9810", "localhost", "localhost:", "localhost:65536", "::1:9810", "http://localhost:1", "a b:1"])(
    "metricsAddress %j is refused",
    (address) => {
      expect(refusal({ metricsAddress: address })).toMatch(/must be HOST:PORT, or empty for no metrics/);
    },
  );
});
