import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tool } from "./csi-requests.js";
import { granary, loopsUnder, mountsUnder, removeSandbox } from "./server-harness.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = join(ROOT, "dist/src/main.js");
const MARKER_MS = 180_000;

let dir = "";
let demos: ChildProcess[] = [];
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "granary-test-")));
  demos = [];
  // The demo makes its folder in here.
  mkdirSync(join(dir, "tmp"));
  mkdirSync(join(dir, "bin"));
});
afterEach(() => {
  for (const demo of demos) demo.kill("SIGKILL");
  for (const pid of processesNaming(dir)) process.kill(pid, "SIGKILL");
  removeSandbox({ dir, dataDir: dir, poolDir: dir });
});

/** Processes that have the folder in their arguments: the demo's server and commands. */
function processesNaming(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder);
      } catch {
        return false;
      }
    })
    .map(Number);
}

interface Demo {
  child: ChildProcess;
  output(): string;
  /** Settles once the output holds the text. */
  shows(text: string): Promise<void>;
  ended: Promise<number | null>;
}

function demo(...flags: string[]): Demo {
  const child = spawn(process.execPath, [MAIN, "demo", ...flags], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: join(dir, "tmp"), PATH: `${join(dir, "bin")}:${process.env.PATH}` },
  });
  demos.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => (text += part));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const shows = async (wanted: string) => {
    for (const endMs = Date.now() + MARKER_MS; !text.includes(wanted); ) {
      if (Date.now() > endMs || child.exitCode !== null) throw new Error(`the demo never said ${wanted}:\n${text}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return { child, output: () => text, shows, ended };
}

/** Puts a script in the place of a tool; `$real` in it is the tool. */
function replaceTool(name: string, script: string): void {
  const path = join(dir, "bin", name);
  writeFileSync(path, `#!/bin/sh\nreal=${tool("which", name).trim()}\n${script}\n`);
  chmodSync(path, 0o755);
}

function expectNothingLeft(): void {
  expect({ mounts: mountsUnder(dir), loops: loopsUnder(dir), processes: processesNaming(join(dir, "tmp")) }).toEqual({
    mounts: [],
    loops: [],
    processes: [],
  });
  expect(readdirSync(join(dir, "tmp"))).toEqual([]);
}

describe("granary demo", () => {
  it("every check holds, nothing is left, and a second one does the same", async () => {
    for (let round = 0; round < 2; round++) {
      const run = demo();
      expect([await run.ended, run.output()]).toEqual([0, expect.stringContaining("no problem found")]);
      for (const line of [
        "$ granary apply -f examples/01-storageclasses.yaml -f examples/02-database-claim.yaml",
        "pod reader writes: refused",
        "its last 4 MiB written and read back",
        "the restored claim holds monday's data",
        "the clone          holds tuesday's data",
        "twice as large under the running pod",
        "13 objects put and got",
        "listed: 13 keys, in 2026/summer/ and 2026/winter/",
        "without its signature: refused, 403",
        "its first version is still read back",
        "objects, versions, bucket and user deleted",
        "no volume and no snapshot is left",
      ])
        expect(run.output()).toContain(line);
      // A file gets no colours and no rewritten lines.
      for (const control of ["\u001b", "\r"]) expect(run.output()).not.toContain(control);
      expectNothingLeft();
    }
  }, 400_000);

  it.each([
    ["SIGINT", "$ granary pool init"],
    ["SIGINT", "$ granary up"],
    ["SIGINT", "$ granary apply -f examples/02-database-claim.yaml"],
    ["SIGTERM", "$ granary apply -f examples/05-snapshot.yaml"],
    ["SIGINT", "$ granary user create"],
    ["SIGTERM", "$ granary object scrub"],
    ["SIGHUP", "$ granary delete -f"],
  ] as const)(
    "%s at %s: nothing is left",
    async (signal, step) => {
      const run = demo();
      await run.shows(step);
      run.child.kill(signal);
      expect([await run.ended, run.output()]).toEqual([130, expect.stringContaining("Clean up")]);
      expectNothingLeft();
    },
    240_000,
  );

  it("a second Ctrl-C while it cleans up does not stop the cleanup", async () => {
    const run = demo();
    await run.shows("$ granary apply -f examples/04-raw-block-claim.yaml");
    run.child.kill("SIGINT");
    await run.shows("Clean up");
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expectNothingLeft();
  }, 240_000);

  it("data that is not what was written: exit code 1, says which, and nothing is left", async () => {
    // Between two looks at the database's disk somebody else writes to it.
    replaceTool("df", 'for path; do :; done\n"$real" "$@"\nprintf x >> "$path/orders"');
    const run = demo();
    expect([await run.ended, run.output()]).toEqual([
      1,
      expect.stringMatching(/the demo failed: the data after the expansion: expected [0-9a-f]{64}, found [0-9a-f]{64}/),
    ]);
    expectNothingLeft();
  }, 240_000);

  it("a command that fails: exit code 1 with its words", async () => {
    replaceTool("mkfs.xfs", "echo no such luck >&2; exit 1");
    const run = demo();
    expect([await run.ended, run.output()]).toEqual([1, expect.stringContaining("no such luck")]);
    expectNothingLeft();
  }, 60_000);

  it("--keep --data-dir: runs until Ctrl-C, for every other command; then the folder is as empty as before", async () => {
    const dataDir = join(dir, "tmp", "mine");
    mkdirSync(dataDir);
    const run = demo("--keep", "--data-dir", dataDir);
    await run.shows("In another terminal");
    const got = granary(["get", "pvc", "--data-dir", dataDir, "-o", "name"]);
    expect([got.code, got.stdout]).toEqual([0, expect.stringContaining("persistentvolumeclaim/database\n")]);
    expect(granary(["doctor", "--data-dir", dataDir]).code).toBe(0);
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(0);
    expect(readdirSync(dataDir)).toEqual([]);
    expect([mountsUnder(dir), loopsUnder(dir), processesNaming(dataDir)]).toEqual([[], [], []]);
  }, 240_000);

  it("--data-dir with something in it: refused, and left alone", async () => {
    const dataDir = join(dir, "full");
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, "precious"), "1");
    const run = demo("--data-dir", dataDir);
    expect([await run.ended, run.output()]).toEqual([1, expect.stringContaining(`${dataDir} is not empty`)]);
    expect(existsSync(join(dataDir, "precious"))).toBe(true);
  });

  it("without root: exit code 1, says so, and makes nothing", () => {
    chmodSync(dir, 0o755);
    const user = tool("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "id", "-u").trim();
    expect(user).toBe("65534");
    // Shown at a path that anybody may go to: the checkout may lie in a folder of root's alone.
    const shown = join(dir, "checkout");
    mkdirSync(shown);
    const inner = '"$0" "$1/dist/src/main.js" demo 2>&1; echo "code $?"';
    const script = `mount --bind "$1" "$2" && exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c '${inner}' "$3" "$2"`;
    const answer = tool("unshare", "--mount", "sh", "-c", script, "sh", ROOT, shown, process.execPath);
    expect(answer).toMatch(/run it as root\ncode 1\n$/);
  });

  it("--help names the flags and the exit codes", () => {
    const { code, stdout } = granary(["demo", "--help"]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/--data-dir[\s\S]*--keep[\s\S]*Exit code: 0/)]);
  });
});
