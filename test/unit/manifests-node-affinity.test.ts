import { describe, expect, it } from "vitest";
import { affinityOf, allowsNode } from "../../src/manifests/node-affinity.js";
import type { NodeSelectorRequirement, PersistentVolume } from "../../src/manifests/objects.js";
import { parseManifestText } from "../../src/manifests/read-manifests.js";
import { parseAllObjects } from "../../src/manifests/schema.js";

const node = { id: "host-1", topology: { "example.com/rack": "7", "example.com/zone": "a" } };

/** A PersistentVolume's nodeAffinity, read from a manifest whose terms are these. */
function affinity(...terms: Partial<NodeSelectorRequirement>[][]) {
  const nodeSelectorTerms = terms.map((matchExpressions) => ({ matchExpressions }));
  const manifest = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "pv" },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      csi: { driver: "csi.granary.dev", volumeHandle: "h" },
      nodeAffinity: { required: { nodeSelectorTerms } },
    },
  };
  const [read] = parseAllObjects(parseManifestText("f.yaml", JSON.stringify(manifest)), "default");
  return (read as PersistentVolume).spec.nodeAffinity;
}

const rack = (operator: NodeSelectorRequirement["operator"], ...values: string[]) => ({
  key: "example.com/rack",
  operator,
  values,
});

describe("allowsNode", () => {
  it.each([
    [rack("In", "6", "7"), true],
    [rack("In", "6"), false],
    [rack("NotIn", "6"), true],
    [rack("NotIn", "7"), false],
    [rack("Exists"), true],
    [rack("DoesNotExist"), false],
    [rack("Gt", "6"), true],
    [rack("Gt", "7"), false],
    [rack("Lt", "8"), true],
    [rack("Lt", "7"), false],
    [{ ...rack("Gt", "0"), key: "example.com/zone" }, false],
    [{ ...rack("In", "7"), key: "toString" }, false],
    [{ ...rack("NotIn", "7"), key: "example.com/none" }, true],
    [{ ...rack("DoesNotExist"), key: "example.com/none" }, true],
    [{ key: "kubernetes.io/hostname", operator: "In", values: ["host-1"] }, true],
  ] as [NodeSelectorRequirement, boolean][])("%j: %s", (requirement, expected) => {
    expect(allowsNode(affinity([requirement]), node)).toBe(expected);
  });

  it("one term must hold with all of its expressions; an empty term holds nowhere; without an affinity all may", () => {
    expect(allowsNode(affinity([rack("In", "6")], [rack("In", "7")]), node)).toBe(true);
    expect(allowsNode(affinity([rack("In", "7"), rack("Lt", "7")]), node)).toBe(false);
    expect(allowsNode(affinity([]), node)).toBe(false);
    expect(allowsNode(undefined, node)).toBe(true);
  });

  it("a provisioned volume's affinity holds on the node that it is accessible from, and on no other", () => {
    const made = affinityOf([{ segments: node.topology }]);
    expect(allowsNode(made, node)).toBe(true);
    expect(allowsNode(made, { ...node, topology: { ...node.topology, "example.com/zone": "b" } })).toBe(false);
    expect(affinityOf([])).toBeUndefined();
  });
});

describe("nodeAffinity in a manifest", () => {
  it.each([
    [[rack("In")], "values: In needs at least one value"],
    [[rack("Exists", "7")], "values: Exists takes no values"],
    [[rack("Gt", "7", "8")], "values: Gt takes one whole number"],
    [[rack("Lt", "x")], "values: Lt takes one whole number"],
    [[{ ...rack("In", "7"), operator: "in" as "In" }], '"in" is none of In, NotIn'],
  ])("%j: refused", (term, message) => {
    expect(() => affinity(term)).toThrow(message);
  });

  it("without any term, or with matchFields: refused", () => {
    expect(() => affinity()).toThrow("nodeSelectorTerms: must hold at least one term");
    const text = JSON.stringify({
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "pv" },
      spec: { nodeAffinity: { required: { nodeSelectorTerms: [{ matchFields: [] }] } } },
    });
    expect(() => parseAllObjects(parseManifestText("f.yaml", text), "default")).toThrow("only matchExpressions");
  });
});
