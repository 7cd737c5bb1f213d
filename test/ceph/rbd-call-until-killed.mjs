// A controller's one call, that kills itself at a step: rbd-call-until-killed.mjs CONFIG STATE-DIR STEP METHOD ARGS.
// ARGS are JSON; a text that ends in n after digits is a bigint.
import { readFileSync } from "node:fs";
import pino from "pino";
import { parse } from "yaml";
import { parseClusters } from "../../dist/src/config/clusters.js";
import { openRbdEngine } from "../../dist/src/engines/ceph/rbd/index.js";
import { exec } from "../../dist/src/os/exec.js";
import { crashAtStep } from "../../dist/src/runtime/steps.js";

const [configPath, stateDir, step, method, args] = process.argv.slice(2);
const [config] = parseClusters(parse(readFileSync(configPath, "utf8")).clusters);
const log = pino({ level: "silent" });
const engine = await openRbdEngine(config, exec, log, stateDir, { sweepMs: 0 });
const bigints = (_key, value) =>
  typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;
crashAtStep(step);
await engine[method]({ signal: AbortSignal.timeout(60_000), requestId: "killed", log }, ...JSON.parse(args, bigints));
await engine.close();
