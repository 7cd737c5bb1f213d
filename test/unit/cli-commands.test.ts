import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands.js";
import { programFor } from "../../src/cli/program.js";

const MAIN = fileURLToPath(new URL("../../dist/src/main.js", import.meta.url));
const granary = (...words: string[]) => spawnSync(process.execPath, [MAIN, ...words], { encoding: "utf8" });
const shown = COMMANDS.filter(({ hidden }) => !hidden);

/** The modules of ours that a run of `granary` loads, by their paths in dist/. */
function loadedBy(...words: string[]): string[] {
  const tracer = `
    import { register } from "node:module";
    register("data:text/javascript," + encodeURIComponent(\`
      import { writeSync } from "node:fs";
      export async function load(url, context, next) {
        if (url.startsWith("file:")) writeSync(2, "LOADED " + url + "\\\\n");
        return next(url, context);
      }
    \`), import.meta.url);`;
  const url = `data:text/javascript,${encodeURIComponent(tracer)}`;
  const { stderr } = spawnSync(process.execPath, ["--import", url, MAIN, ...words], { encoding: "utf8" });
  return [...stderr.matchAll(/^LOADED file:\/\/.*?\/((?:dist|node_modules)\/.*)$/gm)].map(([, path = ""]) => path);
}

describe("granary's commands", () => {
  it.each(COMMANDS)("$name: its module is of that name, and says the same of it as the help", async (entry) => {
    const command = await entry.load("1.2.3");
    expect([command.name(), command.description()]).toEqual([entry.name, entry.description]);
  });

  it("--help lists all of them with their descriptions, and loads none", () => {
    const { status, stdout } = granary("--help");
    expect(status).toBe(0);
    const text = stdout.replace(/\n {10,}/g, " ");
    for (const { name, description } of shown) expect(text).toMatch(new RegExp(`^  ${name} .*${description}`, "m"));
    expect(text).not.toContain("objectstore-worker");
    const loaded = loadedBy("--help");
    expect(loaded).toContain("dist/src/cli/commands.js");
    expect(loaded.filter((path) => path.includes("node_modules/") && !path.includes("/commander/"))).toEqual([]);
  });

  it("a command loads its own module alone: a worker neither gRPC nor the admin API, a client no engine", () => {
    const worker = loadedBy("objectstore-worker", "--help");
    expect(worker).toContain("dist/objectstore/http/server.js");
    expect(worker.filter((path) => /grpc|\/admin\/|cli\/(serve|demo|apply)\.js/.test(path))).toEqual([]);
    const client = loadedBy("bucket", "list", "--help");
    expect(client).toContain("dist/src/cli/bucket.js");
    expect(client.filter((path) => /grpc|lmdb|src\/engines\//.test(path))).toEqual([]);
  });

  it("help of a command, both ways of asking: its own, with its options", () => {
    for (const words of [
      ["up", "--help"],
      ["help", "up"],
    ]) {
      const { status, stdout } = granary(...words);
      expect([status, stdout]).toEqual([0, expect.stringMatching(/Usage: granary up \[options\][\s\S]*--data-dir/)]);
    }
    expect(granary("bucket", "create", "--help").stdout).toMatch(/Usage: granary bucket create .*<name>/);
  });

  it("a name that is none: refused, with the one that was most likely meant", () => {
    const { status, stderr } = granary("bukcet", "list");
    expect([status, stderr]).toEqual([1, expect.stringMatching(/unknown command 'bukcet'[\s\S]*Did you mean bucket/)]);
  });

  it("no command: the help", () => {
    const { status, stderr } = granary();
    expect([status, stderr]).toEqual([1, expect.stringMatching(/Usage: granary/)]);
  });

  it("--version: the package's", () => {
    expect(granary("--version").stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("only the command that is named is more than its name", async () => {
    const program = await programFor(["bucket", "up", "list"], "1.2.3");
    const whole = program.commands.filter((command) => command.commands.length + command.options.length > 0);
    expect(whole.map((command) => command.name())).toEqual(["bucket"]);
  });
});
