import type { NodeGetCapabilitiesResponse } from "../proto/gen/csi/v1/NodeGetCapabilitiesResponse.js";

const CAPABILITIES = [
  "STAGE_UNSTAGE_VOLUME",
  "GET_VOLUME_STATS",
  "EXPAND_VOLUME",
  "VOLUME_CONDITION",
  "SINGLE_NODE_MULTI_WRITER",
  "VOLUME_MOUNT_GROUP",
] as const;

export async function getCapabilities(): Promise<NodeGetCapabilitiesResponse> {
  return { capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })) };
}
