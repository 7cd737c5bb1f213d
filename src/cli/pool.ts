import { resolve } from "node:path";
import { Command } from "commander";
import { loadConfig } from "../config/config.js";
import { initPool, mountPool } from "../engines/local/pool-device.js";
import { readPoolStatus } from "../engines/local/pool-status.js";
import { invalid } from "../errors/storage-error.js";
import { count } from "../model/count.js";
import { parseSize, showSize } from "../model/size.js";
import { exec } from "../os/exec.js";
import { claimDataDir } from "../runtime/server-file.js";

interface InitFlags {
  device?: string;
  file?: string;
  size?: string;
  dataDir?: string;
  config?: string;
}

/** `granary pool init` and `granary pool status`. */
export function poolCommand(): Command {
  const pool = new Command("pool").description("make the pool that volumes are stored in, or show its space");
  pool
    .command("init")
    .description("make an XFS pool with reflinks on a blank device or in a new file; granary up mounts it")
    .option("--device <dev>", "a blank block device")
    .option("--file <file>", "a new file, sparse, with --size")
    .option("--size <size>", "the file's size, for example 100Gi")
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "the data dir (default /var/lib/granary)")
    .action(init);
  pool
    .command("status")
    .description("the pool's space: total, free, allocated, committed, and whether snapshots are instant")
    .option("-o, --output <format>", "table or json", "table")
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "the data dir (default /var/lib/granary)")
    .action(status);
  return pool;
}

async function init(flags: InitFlags): Promise<void> {
  const { device, file, size, ...rest } = flags;
  const config = loadConfig(rest);
  if ((device === undefined) === (file === undefined))
    throw invalid("say where: either --device DEV or --file FILE --size N");
  if (file !== undefined && size === undefined) throw invalid("--file needs --size, for example --size 100Gi");
  if (device !== undefined && size !== undefined) throw invalid("--size goes with --file; a device is used whole");
  const release = await claimDataDir(config.dataDir, "up", config.csiEndpoint);
  try {
    const signal = new AbortController().signal;
    const source =
      device !== undefined
        ? { type: "device" as const, path: resolve(device) }
        : { type: "file" as const, path: resolve(file ?? ""), sizeBytes: parseSize("--size", size ?? "") };
    await initPool(exec, signal, config.dataDir, config.poolDir, source);
    await mountPool(exec, signal, config.dataDir, config.poolDir);
    process.stdout.write(
      `pool made on ${source.path}, mounted at ${config.poolDir}; now run: granary up --data-dir ${config.dataDir}\n`,
    );
  } finally {
    await release();
  }
}

async function status(flags: { output: string; dataDir?: string; config?: string }): Promise<void> {
  const { output, ...rest } = flags;
  if (output !== "table" && output !== "json")
    throw invalid(`--output: ${JSON.stringify(output)} is not table or json`);
  const found = await readPoolStatus(loadConfig(rest));
  if (output === "json") {
    const plain = (_key: string, value: unknown) => (typeof value === "bigint" ? Number(value) : value);
    process.stdout.write(`${JSON.stringify(found, plain, 2)}\n`);
    return;
  }
  const rows: [string, string][] = [
    ["pool", found.dir],
    ["reflinks", found.reflink ? "yes: snapshots and clones are instant" : "no: snapshots and clones copy extents"],
    ["total", showSize(found.totalBytes)],
    ["free", showSize(found.freeBytes)],
    [
      "allocated",
      `${showSize(found.allocatedBytes)} by ${count(found.volumes, "volume")} and ${count(found.snapshots, "snapshot")}`,
    ],
    [
      "committed",
      `${showSize(found.committedBytes)} of at most ${showSize(found.commitLimitBytes)} (overcommit ${found.overcommit})`,
    ],
  ];
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(10)} ${value}\n`);
}
