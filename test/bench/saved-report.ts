import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type About, aboutList } from "./machine.js";
import { markdownTable, type Report, summary } from "./report.js";

export const RESULTS_DIR = "bench/results";

const TITLES = { volumes: "Volumes", objects: "Objects", ceph: "Ceph" } as const;

/** Writes two files of one name, after the run's date, into the folder `dir`: tables (.md) and measurements (.json). */
export function saveReport(
  dir: string,
  kind: keyof typeof TITLES,
  about: About,
  reports: readonly Report[],
  json: string,
): void {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, `${kind}-${about.date.slice(0, 19).replaceAll(":", "")}Z`);
  const tables = reports.flatMap(({ sections }) => sections.map(markdownTable)).join("");
  writeFileSync(`${path}.md`, `# ${TITLES[kind]}: benchmarks\n\n${aboutList(about)}${tables}${summary(reports)}.\n`);
  writeFileSync(`${path}.json`, json);
  process.stderr.write(`bench: written to ${path}.md and .json\n`);
}
