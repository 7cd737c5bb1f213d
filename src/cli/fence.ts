import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { loadConfig } from "../config/config.js";
import { openRbdEngine } from "../engines/ceph/rbd/index.js";
import { invalid, StorageError } from "../errors/storage-error.js";
import { exec } from "../os/exec.js";
import { openLog } from "../runtime/log.js";
import { printTable } from "./table.js";

const LIMIT_MS = 5 * 60_000;

/** `granary fence NODE`: what an operator says of a host that is gone, so that its volumes may go to others. */
export function fenceCommand(): Command {
  return new Command("fence")
    .description("take the RBD volumes of a node that is gone, and keep it from writing to them ever after")
    .argument("<node>", "the node's CSI node id")
    .option("--config <file>", "YAML config file")
    .option("--clusters <yaml>", "Ceph clusters, as YAML or JSON; keys belong into keyring files")
    .option("--cluster <name>", "this cluster of the config alone")
    .action(fenceNode);
}

async function fenceNode(node: string, flags: { config?: string; clusters?: string; cluster?: string }): Promise<void> {
  const { cluster: only, ...rest } = flags;
  const { clusters, logLevel } = loadConfig(rest);
  const chosen = clusters.filter(({ name, pools }) => pools.length > 0 && (only === undefined || name === only));
  if (chosen.length === 0)
    throw invalid(
      only === undefined
        ? "config: clusters names no Ceph cluster with pools: nothing can be fenced"
        : `--cluster ${only}: the config has no such cluster with pools`,
    );
  const log = openLog({ level: logLevel, role: "fence" });
  const stateDir = await mkdtemp(join(tmpdir(), "granary-fence-"));
  const rows: string[][] = [];
  let failed: unknown;
  try {
    for (const cluster of chosen) {
      const engine = await openRbdEngine(cluster, exec, log, stateDir, { sweepMs: 0 });
      const ctx = { signal: AbortSignal.timeout(LIMIT_MS), requestId: "fence", log };
      // A cluster that does not answer must not keep the node's volumes on the others.
      const taken = await engine.fenceNode(ctx, node).catch((error: unknown) => {
        failed = error;
        return [];
      });
      await engine.close();
      for (const { volume, fenced } of taken)
        rows.push([cluster.name, volume.name, fenced.join(" ") || "was not attached"]);
    }
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
  if (rows.length > 0) process.stdout.write(printTable(["CLUSTER", "VOLUME", "BLOCKLISTED"], rows));
  else if (failed === undefined) process.stdout.write(`no volume is published to node ${node}\n`);
  if (failed !== undefined)
    throw failed instanceof StorageError
      ? new StorageError(failed.code, `not everything was taken from node ${node}: ${failed.message}; run it again`)
      : failed;
}
