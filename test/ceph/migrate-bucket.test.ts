import { describeMigration } from "../unit/migrate-bucket-suite.js";
import { makeEngineWorld } from "../unit/objects-engine-world.js";
import { makeUpstreamEngineWorld } from "./upstream-engine-world.js";

describeMigration("the embedded store to Ceph's RGW", async () => {
  const [local, upstream] = await Promise.all([makeEngineWorld(), makeUpstreamEngineWorld()]);
  return {
    from: local.engine,
    to: upstream.engine,
    close: async () => void (await Promise.all([local.close(), upstream.close()])),
  };
});
