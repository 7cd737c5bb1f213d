import { describe, expect, it } from "vitest";
import { parseClusters } from "../../src/config/clusters.js";
import { loadConfig } from "../../src/config/config.js";

const KEY = "AQD0vLhmAAAAABAAo0sJlzCYiS1LHqmIeq0Yhg==";
const refusal = (raw: unknown): string => {
  try {
    parseClusters(raw);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "taken";
};

describe("clusters of the config", () => {
  it("a cluster with monitors alone has defaults for the rest", () => {
    expect(parseClusters({ main: { monitors: ["10.0.0.1"] } })).toEqual([
      {
        name: "main",
        monitors: ["10.0.0.1"],
        user: "admin",
        keyring: "",
        key: undefined,
        pools: [],
        namespace: "",
        filesystem: "",
        subvolumeGroup: "granary",
      },
    ]);
  });

  it("YAML and JSON text are taken, and a text of monitors is split between brackets", () => {
    const text = `main: {monitors: "[v2:10.0.0.1:3300,v1:10.0.0.1:6789],[::1]:6789, mon-b", pools: "a, b"}`;
    const [cluster] = parseClusters(text);
    expect(cluster?.monitors).toEqual(["[v2:10.0.0.1:3300,v1:10.0.0.1:6789]", "[::1]:6789", "mon-b"]);
    expect(cluster?.pools).toEqual(["a", "b"]);
    expect(parseClusters('{"b2": {"monitors": ["x:1"]}}')[0]?.name).toBe("b2");
  });

  it("a key is a secret: it prints as none", () => {
    const [cluster] = parseClusters({ main: { monitors: "a", key: KEY } });
    expect(cluster?.key?.reveal()).toBe(KEY);
    expect(JSON.stringify(cluster)).not.toContain(KEY);
  });

  it.each([
    ["a name that ids cannot hold", { "Main-1": { monitors: "a" } }, /clusters: "Main-1" must be 1 to 16 lower-case/],
    ["no monitors", { main: {} }, /clusters\.main\.monitors: must be a list/],
    ["an empty list", { main: { monitors: [] } }, /clusters\.main\.monitors: must be HOST/],
    ["a monitor with a line break", { main: { monitors: ["a\nkeyring = /x"] } }, /clusters\.main\.monitors/],
    [
      "an unknown key",
      { main: { monitors: "a", pool: "b" } },
      /clusters\.main: unknown key "pool"; did you mean "pools"/,
    ],
    [
      "a pool with a slash",
      { main: { monitors: "a", pools: ["a/b"] } },
      /clusters\.main\.pools: must be the name of a pool/,
    ],
    [
      "both keyring and key",
      { main: { monitors: "a", keyring: "/k", key: KEY } },
      /give keyring, a file, or key, not both/,
    ],
    ["a list", [], /must map a cluster's name/],
    ["text that is no YAML", "{", /is neither YAML nor JSON/],
  ])("%s is refused by name", (_case, raw, words) => {
    expect(refusal(raw)).toMatch(words);
    expect(refusal(raw)).toMatch(/^invalid-argument: config: /);
  });

  it("what is no key is refused, and not told", () => {
    const said = refusal({ main: { monitors: "a", key: "hunter2" } });
    expect(said).toMatch(/clusters\.main\.key: must be a key as `ceph auth get-key/);
    expect(said).not.toContain("hunter2");
    expect(refusal(`main: {monitors: a, key: hunter2`)).not.toContain("hunter2");
  });

  it("GRANARY_CLUSTERS and the flag are read", () => {
    expect(loadConfig({}, { GRANARY_CLUSTERS: "a: {monitors: x}" }).clusters[0]?.name).toBe("a");
    expect(loadConfig({ clusters: "b: {monitors: x}" }, {}).clusters[0]?.name).toBe("b");
  });
});
