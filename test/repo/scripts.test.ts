import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const { scripts } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};

/** The shell scripts that a command runs, and those that they run, as often as they are run. */
function scriptsRunBy(command: string, from = root): string[] {
  return [
    ...command.matchAll(/^[^#]*?bash "?(?:\$\(dirname "\$0"\)\/)?([\w./-]+\.sh)/gm),
    ...command.matchAll(/&& bash ([\w./-]+\.sh)/g),
  ]
    .map(([, file = ""]) => path.resolve(from, file))
    .filter((file) => existsSync(file))
    .flatMap((file) => [path.relative(root, file), ...scriptsRunBy(readFileSync(file, "utf8"), path.dirname(file))]);
}

describe("package.json", () => {
  it("npm test installs what it needs once: the system's tools, then the S3 clients", () => {
    expect(scriptsRunBy(scripts.pretest ?? "")).toEqual(["test/preflight.sh", "test/s3/preflight.sh"]);
  });
});
