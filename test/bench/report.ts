import { printTable } from "../../src/cli/table.js";

/** A bound that a measured value should keep. Missing one is told, and is no failure: machines differ. */
export interface Target {
  value: number;
  atLeast?: number;
  atMost?: number;
  /** Of the bound: " ms", " MiB"; empty for a ratio. */
  unit?: string;
}

export type Cell = number | string;

export interface Row {
  name: string;
  /** One for each of the section's columns. */
  cells: readonly Cell[];
  target?: Target;
}

/** One table of a report. */
export interface Section {
  title: string;
  columns: readonly string[];
  rows: readonly Row[];
  /** What a reader must know to take the numbers for what they are. */
  notes: readonly string[];
}

export interface Report {
  benchmark: string;
  sections: readonly Section[];
  /** Every single measurement, by what was measured: the unit ends the name. */
  measurements: Readonly<Record<string, readonly number[]>>;
}

export type Verdict = "pass" | "MISS";

/** @throws RangeError for a value that is no number: it would pass or miss by accident */
export function verdict(target: Target): Verdict {
  const { value, atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = target;
  if (!Number.isFinite(value)) throw new RangeError(`${value} cannot be held against a target`);
  return value >= atLeast && value <= atMost ? "pass" : "MISS";
}

/** Three digits that mean something, and all of them before the point. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const whole = Math.abs(value) >= 100;
  return whole ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

export function formatTarget(target: Target): string {
  const unit = target.unit ?? "";
  const bounds = [
    ...(target.atLeast === undefined ? [] : [`>= ${target.atLeast}${unit}`]),
    ...(target.atMost === undefined ? [] : [`<= ${target.atMost}${unit}`]),
  ];
  return bounds.join(", ");
}

/** The section as titles and rows of text; target and result are columns of it when any row has a target. */
function cellsOf(section: Section): { titles: string[]; rows: string[][] } {
  const judged = section.rows.some((row) => row.target);
  const titles = ["", ...section.columns, ...(judged ? ["target", "result"] : [])];
  const rows = section.rows.map(({ name, cells, target }) => [
    name,
    ...cells.map((cell) => (typeof cell === "number" ? formatNumber(cell) : cell)),
    ...(target ? [formatTarget(target), `${verdict(target)} (${target.value.toFixed(3)})`] : judged ? ["", ""] : []),
  ]);
  return { titles, rows };
}

/** The section for a terminal. */
export function textTable(section: Section): string {
  const { titles, rows } = cellsOf(section);
  const notes = section.notes.map((note) => `  ${note}\n`).join("");
  return `${section.title}\n${printTable(titles, rows)}${notes}`;
}

/** The section in Markdown. */
export function markdownTable(section: Section): string {
  const { titles, rows } = cellsOf(section);
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  const rule = line(titles.map((_, i) => (i === 0 ? "---" : "---:")));
  const notes = section.notes.map((note) => `- ${note}\n`).join("");
  return `### ${section.title}\n\n${line(titles)}${rule}${rows.map(line).join("")}\n${notes && `${notes}\n`}`;
}

export function targetsOf(reports: readonly Report[]): Target[] {
  return reports.flatMap(({ sections }) => sections.flatMap((s) => s.rows.flatMap((row) => row.target ?? [])));
}

/** `11 of 12 targets are kept`. */
export function summary(reports: readonly Report[]): string {
  const targets = targetsOf(reports);
  const kept = targets.filter((target) => verdict(target) === "pass").length;
  return `${kept} of ${targets.length} targets are kept`;
}

/** What a run writes for programs: the tables with their verdicts, and every measurement. */
export function jsonReport(about: object, reports: readonly Report[]): string {
  const sections = (report: Report) =>
    report.sections.map((section) => ({
      ...section,
      rows: section.rows.map((row) => (row.target ? { ...row, result: verdict(row.target) } : row)),
    }));
  const benchmarks = reports.map((report) => ({ ...report, sections: sections(report) }));
  return `${JSON.stringify({ ...about, summary: summary(reports), benchmarks }, null, 2)}\n`;
}
