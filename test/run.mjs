// Runs the tests. Without root, test/root is left out, and so are the tests of S3 clients that are not installed; how many
// tests that is gets printed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CLIENTS } from "./s3/clients.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
const argv = process.argv.slice(2);
const isRoot = process.getuid?.() === 0;

function run(args, stdio) {
  // The runner loads the config without writing into node_modules, which root may own.
  return spawnSync(process.execPath, [vitest, ...args, "--configLoader", "runner"], { cwd: root, stdio });
}

/** Asks vitest itself, since it.each makes more tests than the source shows. A file, as tests may print while loading. */
function countTests(where) {
  const folder = mkdtempSync(join(tmpdir(), "granary-tests-"));
  try {
    const file = join(folder, "list.json");
    const listed = run(["list", where, `--json=${file}`], ["ignore", "ignore", "inherit"]);
    return listed.status === 0 ? JSON.parse(readFileSync(file, "utf8")).length : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const leftOut = [
  ...(isRoot
    ? []
    : [
        {
          where: "test/root/",
          exclude: "test/root/**",
          why: "which need root (loop devices, mounts). Run npm test as root.",
        },
      ]),
  ...CLIENTS.filter(({ program }) => program === undefined).map(({ name, testFile }) => ({
    where: testFile,
    exclude: testFile,
    why: `which need ${name}, and it is not installed. Run: bash test/s3/preflight.sh`,
  })),
];

const result = run(["run", ...leftOut.flatMap(({ exclude }) => ["--exclude", exclude]), ...argv], "inherit");
let exitCode = result.status ?? 1;

for (const { where, why } of leftOut) {
  const count = countTests(where);
  if (count === undefined) {
    console.error(`Left out: every test in ${where}, ${why} They could not be counted: see above.`);
    exitCode = exitCode || 1;
  } else console.log(`Left out: ${count} tests in ${where}, ${why}`);
}
process.exit(exitCode);
