// A controller of its own, from the build: makes one call, and kills itself at the step that it is told.
// argv: JSON of { config: a file with clusters, stateDir, step, method, args }; "16n" is a bigint.
import { readFileSync } from "node:fs";
import pino from "pino";
import { parse } from "yaml";
import { parseClusters } from "../../dist/src/config/clusters.js";
import { openCephfsEngine } from "../../dist/src/engines/ceph/cephfs/index.js";
import { exec } from "../../dist/src/os/exec.js";
import { crashAtStep } from "../../dist/src/runtime/steps.js";

const bigints = (_key, value) =>
  typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;
const { config, stateDir, step, method, args } = JSON.parse(process.argv[2] ?? "", bigints);
const log = pino({ level: "silent" });
const [cluster] = parseClusters(parse(readFileSync(config, "utf8")).clusters);
const engine = await openCephfsEngine(cluster, exec, log, stateDir);
crashAtStep(step);
const context = () => ({ signal: AbortSignal.timeout(60_000), requestId: "child", log });
for (;;) {
  try {
    await engine[method](context(), ...args);
    break;
  } catch (error) {
    if (error.code !== "aborted") throw error;
  }
}
await engine.close();
