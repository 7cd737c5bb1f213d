import type { Topology } from "../../proto/gen/csi/v1/Topology.js";
import type { TopologyRequirement } from "../../proto/gen/csi/v1/TopologyRequirement.js";
import type { StorageClass, TopologyTerm } from "./objects.js";
import { type NodeInfo, Refusal } from "./session.js";

/**
 * Where a volume must be reachable: the class's allowedTopologies, or else this node's topology. With
 * WaitForFirstConsumer the node is chosen, so it has to be one of those that are allowed.
 */
export function topologyFor(storageClass: StorageClass, node: NodeInfo): TopologyRequirement {
  const here: Topology = { segments: node.topology };
  if (storageClass.allowedTopologies.length === 0) return { requisite: [here], preferred: [here] };
  const allowed = storageClass.allowedTopologies.flatMap(segmentsOf);
  if (storageClass.volumeBindingMode === "Immediate") return { requisite: allowed, preferred: allowed };
  const matches = allowed.some(({ segments }) =>
    Object.entries(segments ?? {}).every(([key, value]) => node.topology[key] === value),
  );
  if (!matches)
    throw new Refusal(
      "ProvisioningFailed",
      `allowedTopologies of the class leave out node ${node.id}, where the pod is`,
    );
  return { requisite: [here], preferred: [here] };
}

/** Every combination of one value for each key. */
function segmentsOf(term: TopologyTerm): Topology[] {
  let combinations: Record<string, string>[] = [{}];
  for (const { key, values } of term.matchLabelExpressions)
    combinations = combinations.flatMap((known) => values.map((value) => ({ ...known, [key]: value })));
  return combinations.map((segments) => ({ segments }));
}
