// Runs the tests. Without root, test/root is left out, and how many tests that is gets printed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
const argv = process.argv.slice(2);
const isRoot = process.getuid?.() === 0;

function run(args, stdio) {
  // The runner loads the config without writing into node_modules, which root may own.
  return spawnSync(process.execPath, [vitest, ...args, "--configLoader", "runner"], { cwd: root, stdio });
}

/** Asks vitest itself, since it.each makes more tests than the source shows. A file, as tests may print while loading. */
function countRootTests() {
  const folder = mkdtempSync(join(tmpdir(), "granary-tests-"));
  try {
    const file = join(folder, "list.json");
    const listed = run(["list", "test/root/", `--json=${file}`], ["ignore", "ignore", "inherit"]);
    return listed.status === 0 ? JSON.parse(readFileSync(file, "utf8")).length : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const result = run(["run", ...(isRoot ? [] : ["--exclude", "test/root/**"]), ...argv], "inherit");
let exitCode = result.status ?? 1;

if (!isRoot) {
  const count = countRootTests();
  if (count === undefined) {
    console.error("Left out: every test in test/root (needs root), but they could not be counted: see above.");
    exitCode = exitCode || 1;
  } else {
    console.log(`Left out: ${count} tests in test/root, which need root (loop devices, mounts). Run npm test as root.`);
  }
}
process.exit(exitCode);
