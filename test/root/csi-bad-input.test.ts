import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeBadInput } from "./bad-input-suite.js";
import { block, mount } from "./csi-requests.js";
import { loopsUnder, makeSandbox, removeSandbox, startServer } from "./server-harness.js";

describeBadInput({
  name: "local",
  without: [],
  async open() {
    const sandbox = makeSandbox();
    const server = await startServer(sandbox);
    const files = (dir: string) =>
      readdirSync(dir, { recursive: true, encoding: "utf8" }).map((name) => [name, statSync(join(dir, name)).size]);
    return {
      ...{ sandbox, server, choice: { parameters: {}, capability: mount() } },
      ...{ used: mount("SINGLE_NODE_MULTI_WRITER"), idle: block() },
      goneId: (kind) => `g1-l-${kind}-${"0".repeat(24)}`,
      stored: () => ({
        pool: ["volumes", "snapshots"].flatMap((part) => files(join(sandbox.poolDir, part))),
        loops: loopsUnder(sandbox.dir),
      }),
      async close() {
        await server.stop();
        removeSandbox(sandbox);
      },
    };
  },
});
