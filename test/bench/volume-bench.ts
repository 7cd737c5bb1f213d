import { writeFileSync } from "node:fs";
import { Command, Option } from "commander";
import { aboutThisMachine } from "./machine.js";
import { jsonReport, type Report, summary, textTable } from "./report.js";
import { RESULTS_DIR, saveReport } from "./saved-report.js";
import { stopSignal } from "./stop-signal.js";
import type { Run } from "./world.js";

interface Flags {
  quick?: true;
  only?: string[];
  save?: string | true;
  json?: string;
}

/** `npm run bench:NAME`: runs the benchmarks, each by its name, in their order, and prints and keeps what they measured. */
export async function runVolumeBench(
  name: "volumes" | "ceph",
  description: string,
  benchmarks: Readonly<Record<string, (run: Run) => Promise<Report>>>,
): Promise<void> {
  const names = Object.keys(benchmarks);
  const command = new Command(`npm run bench:${name} --`)
    .description(description)
    .option("--quick", "small sizes and few rounds: shows that all of it works, and measures little")
    .addOption(new Option("--only <benchmark...>", "run these alone").choices(names))
    .option("--save [dir]", `write the tables (.md) and all measurements (.json) there (default ${RESULTS_DIR})`)
    .option("--json <file>", "write the JSON to this file, not after the tables")
    .action((flags: Flags) => bench(name, benchmarks, flags));
  try {
    await command.parseAsync();
  } catch (error) {
    process.stderr.write(`bench: ${wordsOf(error)}\n`);
    process.exitCode = 1;
  }
}

async function bench(
  what: "volumes" | "ceph",
  benchmarks: Readonly<Record<string, (run: Run) => Promise<Report>>>,
  flags: Flags,
): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("the benchmarks make devices and mounts: run them as root");
  const signal = stopSignal();
  const quick = flags.quick === true;
  const run: Run = { quick, signal, progress: (text) => process.stderr.write(`bench: ${text}\n`) };
  const about = aboutThisMachine(`bench:${what}`, process.argv.slice(2));
  const reports: Report[] = [];
  for (const [name, benchmark] of Object.entries(benchmarks)) {
    if (flags.only?.includes(name) === false) continue;
    signal.throwIfAborted();
    try {
      const report = await benchmark(run);
      reports.push(report);
      process.stdout.write(`${report.sections.map(textTable).join("\n")}\n`);
    } catch (error) {
      // The next ones run all the same: what was measured is not thrown away.
      signal.throwIfAborted();
      process.exitCode = 1;
      run.progress(`${name} failed: ${wordsOf(error)}`);
    }
  }
  process.stdout.write(`${summary(reports)}${quick ? " (a quick run: these numbers mean little)" : ""}\n`);
  const json = jsonReport(about, reports);
  if (flags.json !== undefined) writeFileSync(flags.json, json);
  else process.stdout.write(`\n${json}`);
  if (flags.save !== undefined) saveReport(flags.save === true ? RESULTS_DIR : flags.save, what, about, reports, json);
}

const wordsOf = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error));
