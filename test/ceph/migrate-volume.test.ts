import { storageClass } from "../root/manifests-world.js";
import { describeVolumeMigration } from "../root/migrate-volume-suite.js";
import { makeClusterWorld } from "./cluster-world.js";
import { CLUSTER } from "./place.js";

describeVolumeMigration("from the local engine to Ceph's RBD", async () => {
  const world = makeClusterWorld();
  const server = await world.start();
  const classes = storageClass("old") + storageClass("new", [`parameters: { cluster: ${CLUSTER} }`]);
  return { sandbox: world.sandbox, server, classes, close: () => world.remove() };
});
