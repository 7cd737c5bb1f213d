import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { aboutThisMachine } from "./machine.js";
import { type ContenderName, GRANARY, PEERS } from "./objects/contenders.js";
import { contendersSection, type Entrant } from "./objects/contenders-section.js";
import { benchDurability } from "./objects/durability.js";
import { benchListing } from "./objects/listing.js";
import type { ObjectRun } from "./objects/run.js";
import { benchLarge, benchSmall } from "./objects/sized-objects.js";
import { benchSpace } from "./objects/space.js";
import { defaultToolsDir, ensureTool, type Installed, type Tool, WARP } from "./objects/tools.js";
import { benchWarp } from "./objects/warp.js";
import { jsonReport, type Report, summary, textTable } from "./report.js";
import { RESULTS_DIR, saveReport } from "./saved-report.js";
import { stopSignal } from "./stop-signal.js";

const BENCHMARKS = {
  durability: benchDurability,
  small: benchSmall,
  large: benchLarge,
  listing: benchListing,
  space: benchSpace,
  warp: benchWarp,
} satisfies Record<string, (run: ObjectRun) => Promise<Report>>;
type Name = keyof typeof BENCHMARKS;
const NAMES = Object.keys(BENCHMARKS) as Name[];
/** Below it no page of 1,000 keys could start anywhere but near the bucket's start. */
const MIN_LISTED_KEYS = 4000;

interface Flags {
  quick?: true;
  only?: Name[];
  peers: readonly ContenderName[];
  granary: boolean;
  rounds?: number;
  keys?: number;
  peerKeys?: number;
  dir: string;
  tools: string;
  save?: string | true;
  json?: string;
}

const wholeNumber = (least: number) => (text: string) => {
  if (!/^\d{1,9}$/.test(text) || Number(text) < least)
    throw new InvalidArgumentError(`a whole number from ${least} on is wanted`);
  return Number(text);
};

function peerNames(text: string): readonly ContenderName[] {
  if (text === "none") return [];
  return text.split(",").map((name) => {
    const peer = PEERS.find((known) => known.name === name);
    if (peer === undefined)
      throw new InvalidArgumentError(`known are ${PEERS.map((known) => known.name).join(", ")}, none`);
    return peer.name;
  });
}

const command = new Command("npm run bench:objects --")
  .description(
    "Measures Granary's object store beside other S3 servers, in one run on one disk, with a load generator that is a " +
      "process of its own. Peers are installed by `go install` where there is a Go toolchain, and told as absent where " +
      "not. Needs 40 GiB free in DIR for the whole of it. A target that is missed is told, and is no failure; the exit " +
      "code is 1 when something went wrong with Granary.",
  )
  .option("--quick", "few objects and short rounds: shows that all of it works, and measures little")
  .addOption(new Option("--only <benchmark...>", "run these alone").choices(NAMES))
  .option(
    "--peers <list>",
    "none, or some of the others, with commas between",
    peerNames,
    PEERS.map(({ name }) => name),
  )
  .option("--no-granary", "measure the peers alone")
  .option("--rounds <n>", "counted rounds of each piece of work (default 5; 1 when quick)", wholeNumber(1))
  .option(
    "--keys <n>",
    "objects in Granary's large bucket (default 1000000; 5000 when quick)",
    wholeNumber(MIN_LISTED_KEYS),
  )
  .option(
    "--peer-keys <n>",
    "objects in the peers' large bucket (default 100000; 5000 when quick)",
    wholeNumber(MIN_LISTED_KEYS),
  )
  .option("--dir <dir>", "the servers' data lies in a new folder in it", tmpdir())
  .option(
    "--tools <dir>",
    "where the peers' programs are kept, and installed when they are not there",
    defaultToolsDir(),
  )
  .option("--save [dir]", `write the tables (.md) and all measurements (.json) there (default ${RESULTS_DIR})`)
  .option("--json <file>", "write the JSON to this file, not after the tables")
  .action(main);

const progress = (text: string) => void process.stderr.write(`bench: ${text}\n`);

/** `0.1.0, 1a2b3c4`, and whether the tree was changed since that commit. */
function granaryVersion(): string {
  const read = (program: string, ...args: string[]) => spawnSync(program, args, { encoding: "utf8" }).stdout?.trim();
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const commit = read("git", "rev-parse", "--short", "HEAD");
  if (!commit) return version;
  return `${version}, ${commit}${read("git", "status", "--porcelain", "--untracked-files=no") ? " with changes" : ""}`;
}

/** Who takes part: what is not to be had is named in the table, with the reason. */
async function entrants(flags: Flags, tools: string, signal: AbortSignal): Promise<Entrant[]> {
  const found: Entrant[] = flags.granary ? [{ contender: GRANARY, installed: { version: granaryVersion() } }] : [];
  // Contenders may share a program: what cannot be had is asked for once.
  const known = new Map<Tool, Installed>();
  for (const contender of PEERS.filter(({ name }) => flags.peers.includes(name))) {
    const { tool } = contender;
    if (tool === undefined) continue;
    const installed = known.get(tool) ?? (await ensureTool(tool, tools, signal, progress));
    known.set(tool, installed);
    found.push({ contender, installed });
  }
  return found;
}

async function main(flags: Flags): Promise<void> {
  const signal = stopSignal();
  const about = aboutThisMachine("bench:objects", process.argv.slice(2), flags.dir);
  const names = NAMES.filter((known) => flags.only?.includes(known) ?? true);
  const tools = resolve(flags.tools);
  const present = await entrants(flags, tools, signal);
  const warp = names.includes("warp") ? await ensureTool(WARP, tools, signal, progress) : { absent: "not asked for" };
  const quick = flags.quick === true;
  const problems: string[] = [];
  const dir = mkdtempSync(join(resolve(flags.dir), "granary-bench-"));
  const run: ObjectRun = {
    quick,
    signal,
    progress,
    dir,
    tools,
    rounds: flags.rounds ?? (quick ? 1 : 5),
    contenders: present.flatMap(({ contender, installed }) => ("version" in installed ? [contender] : [])),
    listing: { keys: flags.keys ?? (quick ? 5000 : 1_000_000), peerKeys: flags.peerKeys ?? (quick ? 5000 : 100_000) },
    warp: "version" in warp ? { program: join(tools, WARP.program) } : warp,
    problem: (contender, text) => {
      problems.push(`${contender.title}: ${text}`);
      progress(problems.at(-1) ?? "");
      if (contender.name === "granary") process.exitCode = 1;
    },
  };
  process.stdout.write(`${textTable(contendersSection(present, []))}\n`);
  const measured: Report[] = [];
  try {
    for (const name of names) await oneBenchmark(run, name, measured);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  const servers = { benchmark: "servers", measurements: {}, sections: [contendersSection(present, problems)] };
  const reports: Report[] = [servers, ...measured];
  const json = jsonReport({ ...about, problems }, reports);
  process.stdout.write(`${summary(reports)}${quick ? " (a quick run: these numbers mean little)" : ""}\n`);
  if (flags.json !== undefined) writeFileSync(flags.json, json);
  else process.stdout.write(`\n${json}`);
  if (flags.save !== undefined)
    saveReport(flags.save === true ? RESULTS_DIR : flags.save, "objects", about, reports, json);
}

/** One that fails is told, and the next ones run: what was measured for an hour is not thrown away. */
async function oneBenchmark(run: ObjectRun, name: Name, reports: Report[]): Promise<void> {
  run.signal.throwIfAborted();
  try {
    const report = await BENCHMARKS[name](run);
    reports.push(report);
    process.stdout.write(`${report.sections.map(textTable).join("\n")}\n`);
  } catch (error) {
    run.signal.throwIfAborted();
    process.exitCode = 1;
    progress(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
}

try {
  await command.parseAsync();
} catch (error) {
  progress(String(error));
  process.exitCode = 1;
}
