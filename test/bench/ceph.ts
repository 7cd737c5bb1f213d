import { writeFileSync } from "node:fs";
import { Command, Option } from "commander";
import { benchCephDataPath } from "./ceph/data-path.js";
import { benchCephLifecycle } from "./ceph/lifecycle.js";
import { benchCephObjects } from "./ceph/objects.js";
import { aboutThisMachine } from "./machine.js";
import { jsonReport, type Report, summary, textTable } from "./report.js";
import { RESULTS_DIR, saveReport } from "./saved-report.js";
import { stopSignal } from "./stop-signal.js";
import type { Run } from "./world.js";

const BENCHMARKS = {
  "data-path": benchCephDataPath,
  lifecycle: benchCephLifecycle,
  objects: benchCephObjects,
} satisfies Record<string, (run: Run) => Promise<Report>>;
type Name = keyof typeof BENCHMARKS;
const NAMES = Object.keys(BENCHMARKS) as Name[];

interface Flags {
  quick?: true;
  only?: Name[];
  save?: string | true;
  json?: string;
}

const command = new Command("npm run bench:ceph --")
  .description(
    "Measures volumes and the gateway on a real Ceph cluster, each beside the same work without Granary, in one run. " +
      "Needs root, fio, and GRANARY_TEST_CEPH_ENV, which names the cluster's env file. A target that is missed is told, " +
      "and is no failure; the exit code is 1 when something went wrong.",
  )
  .option("--quick", "small sizes and few rounds: shows that all of it works, and measures little")
  .addOption(new Option("--only <benchmark...>", "run these alone").choices(NAMES))
  .option("--save [dir]", `write the tables (.md) and all measurements (.json) there (default ${RESULTS_DIR})`)
  .option("--json <file>", "write the JSON to this file, not after the tables")
  .action(main);

async function main(flags: Flags): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("the benchmarks make devices and mounts: run them as root");
  const signal = stopSignal();
  const quick = flags.quick === true;
  const run: Run = { quick, signal, progress: (text) => process.stderr.write(`bench: ${text}\n`) };
  const about = aboutThisMachine("bench:ceph", process.argv.slice(2));
  const reports: Report[] = [];
  for (const name of NAMES.filter((known) => flags.only?.includes(known) ?? true)) {
    signal.throwIfAborted();
    try {
      const report = await BENCHMARKS[name](run);
      reports.push(report);
      process.stdout.write(`${report.sections.map(textTable).join("\n")}\n`);
    } catch (error) {
      // The next ones run all the same: what was measured is not thrown away.
      signal.throwIfAborted();
      process.exitCode = 1;
      run.progress(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  process.stdout.write(`${summary(reports)}${quick ? " (a quick run: these numbers mean little)" : ""}\n`);
  const json = jsonReport(about, reports);
  if (flags.json !== undefined) writeFileSync(flags.json, json);
  else process.stdout.write(`\n${json}`);
  if (flags.save !== undefined)
    saveReport(flags.save === true ? RESULTS_DIR : flags.save, "ceph", about, reports, json);
}

try {
  await command.parseAsync();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
