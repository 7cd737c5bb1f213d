import { pino } from "pino";
import { openUpstreamEngine, type UpstreamObjectEngine } from "../../src/engines/s3/engine.js";
import { NOBODY_ELSE } from "../../src/engines/s3/state/told.js";
import { ctx, type SuiteWorld } from "../unit/objects-engine-world.js";
import { UpstreamWorld } from "./upstream-world.js";

/** One more gateway's engine on a test's upstream. */
export function openGateway({ settings }: UpstreamWorld, first = false): Promise<UpstreamObjectEngine> {
  return openUpstreamEngine(ctx, { settings, told: NOBODY_ELSE, log: pino({ level: "silent" }), first });
}

export interface UpstreamEngineWorld extends SuiteWorld {
  readonly upstream: UpstreamWorld;
  engine: UpstreamObjectEngine;
}

/** The engine on the cluster's RGW, in buckets of its own. */
export async function makeUpstreamEngineWorld(): Promise<UpstreamEngineWorld> {
  const upstream = new UpstreamWorld();
  const world: UpstreamEngineWorld = {
    upstream,
    engine: await openGateway(upstream, true),
    takesKey: (key) => !key.includes("\0"),
    unknownIds: ["A".repeat(31)],
    neverIds: ["nonsense", "A\u00e9", `${"A".repeat(30)}/`],
    completesSome: false,
    forgetsParts: false,
    markerBefore: () => "A".repeat(31),
    markersBehind: ["nonsense", `${"A".repeat(30)}/`],
    runs: 60,
    expectSound: async () => {},
    async reopen() {
      await world.engine.close();
      world.engine = await openGateway(upstream);
    },
    async close() {
      await world.engine.close();
      await upstream.remove();
    },
  };
  return world;
}
