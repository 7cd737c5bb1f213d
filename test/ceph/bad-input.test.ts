import { describeBadInput } from "../root/bad-input-suite.js";
import { block } from "../root/csi-requests.js";
import { makeClusterWorld } from "./cluster-world.js";
import { CEPHFS, type CephEngine, RBD } from "./engines.js";

function describeOn(engine: CephEngine, without: readonly string[]): void {
  const { capability } = engine.choice;
  describeBadInput({
    name: engine.name,
    without,
    async open() {
      const world = makeClusterWorld();
      const server = await world.start();
      return {
        ...{ sandbox: world.sandbox, server, choice: engine.choice, goneId: engine.goneId },
        ...{ used: capability, idle: engine === RBD ? block() : capability },
        stored: () => engine.stored(world.place).sort(),
        close: () => world.remove(),
      };
    },
  });
}

describeOn(RBD, []);
// Neither changed blocks nor a moment that is the same for several subvolumes.
describeOn(CEPHFS, [
  ...["CreateVolumeGroupSnapshot", "DeleteVolumeGroupSnapshot", "GetVolumeGroupSnapshot"],
  ...["GetMetadataAllocated", "GetMetadataDelta"],
]);
