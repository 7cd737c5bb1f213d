import type { NodeGetInfoResponse } from "../proto/gen/csi/v1/NodeGetInfoResponse.js";
import type { NodeEnvironment } from "./environment.js";

export const TOPOLOGY_KEY = "topology.csi.granary.dev/host";

export async function getInfo(env: NodeEnvironment): Promise<NodeGetInfoResponse> {
  // 0: no limit of ours; the orchestrator decides (CSI, NodeGetInfoResponse).
  return {
    node_id: env.nodeId,
    max_volumes_per_node: "0",
    accessible_topology: { segments: { [TOPOLOGY_KEY]: env.nodeId } },
  };
}
