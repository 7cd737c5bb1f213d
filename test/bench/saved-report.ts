import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type About, aboutList } from "./machine.js";
import { markdownTable, type Report, summary } from "./report.js";

export const RESULTS_DIR = "bench/results";

/** Writes two files of one name, after the run's date, into the folder `dir`: tables (.md) and measurements (.json). */
export function saveReport(
  dir: string,
  kind: "volumes" | "objects",
  about: About,
  reports: readonly Report[],
  json: string,
): void {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, `${kind}-${about.date.slice(0, 19).replaceAll(":", "")}Z`);
  const title = kind === "volumes" ? "Volumes" : "Objects";
  const tables = reports.flatMap(({ sections }) => sections.map(markdownTable)).join("");
  writeFileSync(`${path}.md`, `# ${title}: benchmarks\n\n${aboutList(about)}${tables}${summary(reports)}.\n`);
  writeFileSync(`${path}.json`, json);
  process.stderr.write(`bench: written to ${path}.md and .json\n`);
}
