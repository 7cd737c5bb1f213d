import type { Topology__Output } from "../../proto/gen/csi/v1/Topology.js";
import type { NodeAffinity, NodeSelectorRequirement } from "./objects.js";
import type { NodeInfo } from "./session.js";

/** The labels that Kubernetes would give this node: its CSI topology, and what every Linux node has. */
export function nodeLabels(node: NodeInfo): Record<string, string> {
  return { ...node.topology, "kubernetes.io/hostname": node.id, "kubernetes.io/os": "linux" };
}

/** Whether the node may have the volume; without an affinity every node may (core/v1 VolumeNodeAffinity). */
export function allowsNode(affinity: NodeAffinity | undefined, node: NodeInfo): boolean {
  if (!affinity) return true;
  const labels = nodeLabels(node);
  // One term must hold, with all that it says; an empty one holds nowhere (core/v1 NodeSelectorTerm).
  return affinity.required.nodeSelectorTerms.some(
    ({ matchExpressions }) => matchExpressions.length > 0 && matchExpressions.every((one) => holds(one, labels)),
  );
}

function holds({ key, operator, values }: NodeSelectorRequirement, labels: Record<string, string>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return compared(value, values) > 0;
    case "Lt":
      return compared(value, values) < 0;
  }
}

/** NaN, which is neither more nor less, unless both are whole numbers. */
function compared(value: string | undefined, [limit]: readonly string[]): number {
  const whole = (text: string | undefined) => (text !== undefined && /^-?\d+$/.test(text) ? Number(text) : Number.NaN);
  return whole(value) - whole(limit);
}

/** Where a new volume can be reached, as external-provisioner writes it; undefined when that is everywhere. */
export function affinityOf(topologies: readonly Topology__Output[]): NodeAffinity | undefined {
  if (topologies.length === 0) return undefined;
  const nodeSelectorTerms = topologies.map(({ segments }) => ({
    matchExpressions: Object.entries(segments).map(([key, value]) => ({
      key,
      operator: "In" as const,
      values: [value],
    })),
  }));
  return { required: { nodeSelectorTerms } };
}
