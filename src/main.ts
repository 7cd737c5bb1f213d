#!/usr/bin/env node
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { programFor } from "./cli/program.js";
import { messageOf, StorageError } from "./errors/storage-error.js";

/** Of package.json, which lies above the sources and above dist/. */
function version(): string {
  const places = ["../package.json", "../../package.json"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const path = places.find((place) => existsSync(place)) ?? "";
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

async function main(argv: readonly string[]): Promise<void> {
  const program = await programFor(argv.slice(2), version());
  await program.parseAsync(argv);
}

main(process.argv).catch((error: unknown) => {
  process.stderr.write(
    `granary: ${error instanceof StorageError ? error.message : ((error as Error).stack ?? messageOf(error))}\n`,
  );
  process.exitCode = 1;
});
