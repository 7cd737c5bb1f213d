import type { GetPluginCapabilitiesResponse } from "../proto/gen/csi/v1/GetPluginCapabilitiesResponse.js";
import type { GetPluginInfoResponse } from "../proto/gen/csi/v1/GetPluginInfoResponse.js";
import type { ProbeResponse } from "../proto/gen/csi/v1/ProbeResponse.js";
import type { Context } from "../src/engines/types.js";

export interface IdentityDeps {
  version: string;
  /** Throws failed-precondition with the reason when the plugin is not well. */
  probe: (ctx: Context) => Promise<void>;
  /** False while the plugin starts: Probe then answers OK with ready=false. */
  ready: () => boolean;
  hasController: boolean;
}

export const PLUGIN_NAME = "csi.granary.dev";

/** CSI Identity. */
export function identityHandlers(deps: IdentityDeps) {
  return {
    GetPluginInfo: async (): Promise<GetPluginInfoResponse> => ({ name: PLUGIN_NAME, vendor_version: deps.version }),
    GetPluginCapabilities: async (): Promise<GetPluginCapabilitiesResponse> => {
      const services = deps.hasController
        ? ([
            "CONTROLLER_SERVICE",
            "VOLUME_ACCESSIBILITY_CONSTRAINTS",
            "GROUP_CONTROLLER_SERVICE",
            "SNAPSHOT_METADATA_SERVICE",
          ] as const)
        : (["VOLUME_ACCESSIBILITY_CONSTRAINTS"] as const);
      return {
        capabilities: [
          ...services.map((type) => ({ service: { type } })),
          { volume_expansion: { type: "ONLINE" as const } },
        ],
      };
    },
    Probe: async (ctx: Context): Promise<ProbeResponse> => {
      if (!deps.ready()) return { ready: { value: false } };
      await deps.probe(ctx);
      return { ready: { value: true } };
    },
  };
}
