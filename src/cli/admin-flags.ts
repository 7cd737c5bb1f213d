import type { Command } from "commander";
import { stringify } from "yaml";
import { loadConfig } from "../config/config.js";
import { invalid } from "../errors/storage-error.js";
import { type AdminClient, connectAdmin } from "./admin-client.js";
import { printTable } from "./table.js";

/** The flags of every command that works against the running object store. */
export interface AdminFlags {
  dataDir?: string;
  config?: string;
}

export interface OutputFlags {
  output: string;
}

const FORMATS = ["table", "json", "yaml"] as const;
type Format = (typeof FORMATS)[number];

export function addAdminFlags(command: Command): Command {
  return command
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "the running object store's data dir (default /var/lib/granary)");
}

export const addOutputFlag = (command: Command): Command =>
  command.option("-o, --output <format>", FORMATS.join(", "), "table");

export function connect({ dataDir, config }: AdminFlags): Promise<AdminClient> {
  return connectAdmin(loadConfig({ dataDir, config }).dataDir);
}

/** @throws StorageError invalid-argument naming the formats; before anything is done */
export function formatOf({ output }: OutputFlags): Format {
  const format = FORMATS.find((known) => known === output);
  if (!format) throw invalid(`--output: ${JSON.stringify(output)} is none of ${FORMATS.join(", ")}`);
  return format;
}

/** Prints an answer for a program, or for people what `table` makes of it. */
export function printAnswer(format: Format, value: unknown, table: () => string): void {
  if (format === "json") process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  else if (format === "yaml") process.stdout.write(stringify(value));
  else process.stdout.write(table());
}

/** One thing's fields, a line each. */
export const fields = (rows: readonly (readonly [string, string])[]): string => printTable([], rows, false);

/** `2026-01-02 03:04` of an ISO time, in UTC. */
export const shortTime = (iso: string): string => iso.slice(0, 16).replace("T", " ");
