import { storageClass } from "./manifests-world.js";
import { describeVolumeMigration } from "./migrate-volume-suite.js";
import { makeSandbox, removeSandbox, startServer } from "./server-harness.js";

describeVolumeMigration("within the local engine", async () => {
  const sandbox = makeSandbox();
  const server = await startServer(sandbox);
  const classes = storageClass("old") + storageClass("new", ["parameters: { provisioning: thick }"]);
  return {
    ...{ sandbox, server, classes },
    async close() {
      await server.stop();
      removeSandbox(sandbox);
    },
  };
});
