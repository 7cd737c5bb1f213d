import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { tool } from "./csi-requests.js";
import { claim, claimVolume, pod, storageClass } from "./manifests-world.js";
import { granary, makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "./server-harness.js";

const MAIN = fileURLToPath(new URL("../../dist/src/main.js", import.meta.url));

let sandbox: Sandbox;
let server: TestServer;
let watchers: ChildProcess[] = [];

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  expect(apply(storageClass("plain") + storageClass("late", ["volumeBindingMode: WaitForFirstConsumer"])).code).toBe(0);
}, 60_000);
afterEach(() => {
  for (const watcher of watchers) watcher.kill("SIGKILL");
  watchers = [];
});
afterAll(async () => {
  await server.stop();
  removeSandbox(sandbox);
});

/** `granary ARGS` on the sandbox's data dir. */
const run = (args: readonly string[], input = "") => granary([...args, "--data-dir", sandbox.dataDir], input);
const apply = (yaml: string, ...flags: string[]) => run(["apply", "-f", "-", ...flags], yaml);
const remove = (...args: string[]) => run(["delete", ...args]);
const stored = (kind: string, name: string) => JSON.parse(run(["get", kind, name, "-o", "json"]).stdout);
const lines = (text: string) => text.trimEnd().split("\n");

function writeFiles(folder: string, files: Record<string, string>): string {
  const path = join(sandbox.dir, folder);
  mkdirSync(path, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

describe("granary apply", () => {
  it("-f FILE: prints each object on stdout, the sum on stderr, and no progress into a pipe", () => {
    const folder = writeFiles("one", { "claim.yaml": claim("one") + pod("one", [claimVolume("one")]) });
    const file = join(folder, "claim.yaml");
    expect(run(["apply", "-f", file])).toEqual({
      code: 0,
      stdout: "persistentvolumeclaim/one created\npod/one created\n",
      stderr: "2 of 2 objects ready\n",
    });
    expect(run(["apply", "-f", file]).stdout).toBe("persistentvolumeclaim/one unchanged\npod/one unchanged\n");
    const { hostPath } = stored("pod", "one").status.mounts[0];
    writeFileSync(join(hostPath, "file"), "in the pod's volume");
    expect(remove("-f", file)).toEqual({
      code: 0,
      stdout: 'persistentvolumeclaim "one" deleted\npod "one" deleted\n',
      stderr: "",
    });
    expect(existsSync(hostPath)).toBe(false);
  });

  it("-f DIR: its manifests by name, other files and subfolders left out; -R: with subfolders; delete -f the same", () => {
    const folder = writeFiles("many", { "1.yaml": claim("first"), "2.json": claim("second").slice(5), "no.txt": "{" });
    writeFiles("many/below", { "3.yml": claim("third") });
    expect(lines(run(["apply", "-f", folder]).stdout)).toEqual([
      "persistentvolumeclaim/first created",
      "persistentvolumeclaim/second created",
    ]);
    expect(lines(run(["apply", "-R", "-f", folder]).stdout).at(-1)).toBe("persistentvolumeclaim/third created");
    expect(lines(run(["get", "pvc", "-o", "name"]).stdout)).toHaveLength(3);
    expect([remove("-R", "-f", folder).code, run(["get", "pvc", "-o", "name"]).stdout]).toEqual([0, ""]);
  });

  it("a claim that waits for its first consumer is no failure", () => {
    const { code, stderr } = apply(claim("patient", { storageClassName: "late" }));
    expect([code, lines(stderr)]).toEqual([
      0,
      [
        "persistentvolumeclaim/patient: waits for the first pod that uses it, which is no failure",
        "0 of 1 objects ready, 1 waiting for a first consumer",
      ],
    ]);
    expect(remove("pvc", "patient").code).toBe(0);
  });

  it("a claim that cannot be served: exit code 1, with the reason and what to type next", () => {
    const { code, stdout, stderr } = apply(claim("huge", { resources: { requests: { storage: "4Pi" } } }));
    expect([code, stdout]).toEqual([1, "persistentvolumeclaim/huge created\n"]);
    expect(stderr).toMatch(/persistentvolumeclaim\/huge: (OUT_OF_RANGE|RESOURCE_EXHAUSTED): /);
    expect(stderr).toContain("0 of 1 objects ready, 1 failed; granary describe KIND NAME tells why");
    const told = run(["describe", "pvc", "huge"]).stdout;
    expect(told).toMatch(
      /Conditions:[\s\S]*Bound +False +ProvisioningFailed[\s\S]*Events:[\s\S]*Warning +ProvisioningFailed/,
    );
    expect(remove("pvc", "huge").code).toBe(0);
  });

  it("wrong YAML: names file, line and field, with the nearest known one; nothing of the folder is applied", () => {
    const wrong = claim("typo").replace("storageClassName", "storageClasName");
    const folder = writeFiles("wrong", {
      "a.yaml": claim("innocent"),
      "b.yaml": `# two lines of\n# comment\n${wrong}`,
      "c.yaml": "kind: [\n",
    });
    const syntax = run(["apply", "-f", folder]);
    expect([syntax.code, syntax.stderr]).toEqual([1, expect.stringContaining(`${folder}/c.yaml, document 1 (line 2)`)]);
    const field = run(["apply", "-f", join(folder, "a.yaml"), "-f", join(folder, "b.yaml")]);
    expect([field.code, field.stdout]).toEqual([1, ""]);
    expect(field.stderr).toMatch(
      /b\.yaml, document 1 \(line 5\): PersistentVolumeClaim typo: spec: unknown field "storageClasName"; did you mean "storageClassName"\?/,
    );
    expect(run(["get", "pvc", "-o", "name"]).stdout).toBe("");
  });

  it("--dry-run checks against what is stored and changes nothing", () => {
    expect(apply(claim("dry"), "--dry-run")).toMatchObject({
      code: 0,
      stdout: "persistentvolumeclaim/dry created (dry run)\n",
    });
    expect(run(["get", "pvc", "dry"]).code).toBe(1);
  });

  it("no class named: the default class's name is filled in, as get shows it, and stays when applied again", () => {
    const nameless = claim("nameless", { storageClassName: undefined });
    const standard = storageClass("standard").replace(
      "name: standard",
      'name: standard, annotations: { storageclass.kubernetes.io/is-default-class: "true" }',
    );
    expect(apply(standard + nameless).code).toBe(0);
    expect(stored("pvc", "nameless").spec.storageClassName).toBe("standard");
    expect(run(["get", "pvc", "nameless"]).stdout).toMatch(/nameless +Bound .* standard /);
    expect(apply(nameless).stdout).toBe("persistentvolumeclaim/nameless unchanged\n");
    expect(remove("pvc", "nameless").code).toBe(0);
    expect(remove("sc", "standard").code).toBe(0);
  });

  it("on a terminal it shows progress, on a line that it rewrites and takes away", () => {
    const file = join(writeFiles("terminal", { "claim.yaml": claim("seen") }), "claim.yaml");
    const words = [process.execPath, MAIN, "apply", "-f", file, "--data-dir", sandbox.dataDir];
    const shown = tool("script", "-qec", `stty cols 120; ${words.join(" ")}`, "/dev/null");
    expect(shown).toContain("\r\u001b[Kpersistentvolumeclaim default/seen: volume pvc-");
    expect(shown.endsWith("\r\u001b[K1 of 1 objects ready\r\n")).toBe(true);
    expect(remove("pvc", "seen").code).toBe(0);
  });
});

describe("granary delete", () => {
  it("KIND NAME of what is not there: exit code 1, in kubectl's words; --ignore-not-found: 0", () => {
    expect(remove("pvc", "nobody")).toEqual({
      code: 1,
      stdout: "",
      stderr: 'granary: persistentvolumeclaims "nobody" not found\n',
    });
    expect(remove("pvc", "nobody", "--ignore-not-found").code).toBe(0);
  });

  it("a claim in use: exit code 1, says which pod holds it, and it goes with the pod", () => {
    apply(claim("held") + pod("holder", [claimVolume("held")]));
    const refused = remove("pvc/held");
    expect([refused.code, refused.stderr]).toEqual([
      1,
      "persistentvolumeclaim/held is marked for deletion and will go later: deletion waits: the claim is in use by pod default/holder\n",
    ]);
    expect(run(["get", "pvc", "held"]).stdout).toContain("Terminating");
    expect(remove("pod", "holder").code).toBe(0);
    expect(run(["get", "pvc", "held"]).code).toBe(1);
  });

  it("--all and --selector choose; neither without a name is refused", () => {
    apply(claim("red", {}, { colour: "red" }) + claim("blue", {}, { colour: "blue" }));
    expect([remove("pvc").code, remove("pvc", "red", "--all").code]).toEqual([1, 1]);
    expect(remove("pvc", "-l", "colour=red").stdout).toBe('persistentvolumeclaim "red" deleted\n');
    expect(remove("pvc", "--all").stdout).toBe('persistentvolumeclaim "blue" deleted\n');
  });
});

describe("granary get and describe", () => {
  beforeAll(() => {
    apply(claim("shown", {}, { app: "db" }) + pod("user", [claimVolume("shown")]));
  });
  afterAll(() => {
    remove("pod", "user");
    remove("pvc", "shown");
  });

  it("-o table, wide, json, yaml and name", () => {
    const table = lines(run(["get", "pvc"]).stdout);
    expect(table[0]?.split(/ {2,}/)).toEqual([
      ..."NAME,STATUS,VOLUME,CAPACITY,ACCESS MODES,STORAGECLASS,VOLUMEATTRIBUTESCLASS,AGE".split(","),
    ]);
    expect(table[1]).toMatch(/^shown +Bound +pvc-[0-9a-f-]{36} +32Mi +RWO +plain +<unset> +\d+s$/);
    expect(lines(run(["get", "pvc", "-o", "wide"]).stdout)[1]).toMatch(/Filesystem$/);
    const json = JSON.parse(run(["get", "pvc", "shown", "-o", "json"]).stdout);
    expect(json).toMatchObject({
      kind: "PersistentVolumeClaim",
      metadata: { name: "shown" },
      status: { phase: "Bound" },
    });
    expect(parse(run(["get", "pvc", "shown", "-o", "yaml"]).stdout)).toEqual(json);
    expect(JSON.parse(run(["get", "pvc,pod", "-o", "json"]).stdout)).toMatchObject({
      kind: "List",
      items: [json, { kind: "Pod" }],
    });
    expect(run(["get", "pvc,pod", "-o", "name"]).stdout).toBe("persistentvolumeclaim/shown\npod/user\n");
    expect(run(["get", "pvc", "-o", "xml"]).code).toBe(1);
  });

  it("what get -o yaml prints can be applied again: unchanged", () => {
    expect(apply(run(["get", "pvc,pod,pv", "-o", "yaml"]).stdout).stdout.match(/unchanged/g)).toHaveLength(3);
  });

  it("nothing found: exit code 0 for a kind, 1 for a name", () => {
    expect(run(["get", "vs"])).toEqual({ code: 0, stdout: "", stderr: "No resources found in default namespace.\n" });
    expect(run(["get", "pvc", "-n", "elsewhere"]).stderr).toBe("No resources found in elsewhere namespace.\n");
    expect(run(["get", "vs", "none"]).code).toBe(1);
  });

  it("describe: fields, who uses it, where it is reachable, conditions and events", () => {
    const told = run(["describe", "pvc", "shown"]).stdout;
    expect(told).toMatch(/Labels: +app=db[\s\S]*Status: +Bound[\s\S]*Used By: +user[\s\S]*ProvisioningSucceeded/);
    const { volumeName } = stored("pvc", "shown").spec;
    expect(run(["describe", "pv", volumeName]).stdout).toMatch(
      /Claim: +default\/shown[\s\S]*Node Affinity: +topology\.csi\.granary\.dev\/host In host-1\n/,
    );
    expect(run(["describe", "pod", "user"]).stdout).toMatch(/Mounts: +main \/data from .*\/mount \(rw\)/);
    expect(run(["describe", "pvc", "nobody"]).code).toBe(1);
  });

  it("--watch prints what is new, changed and gone, and ends with Ctrl-C", async () => {
    const words = [MAIN, "get", "pvc", "--watch", "--data-dir", sandbox.dataDir];
    const watcher = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
    watchers.push(watcher);
    let text = "";
    watcher.stdout.setEncoding("utf8").on("data", (part) => (text += part));
    const shows = async (wanted: RegExp) => {
      for (const endMs = Date.now() + 20_000; !wanted.test(text); ) {
        if (Date.now() > endMs) throw new Error(`--watch did not print ${wanted}:\n${text}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await shows(/^NAME .*\nshown /);
    apply(claim("fresh", { storageClassName: "late" }));
    await shows(/\nfresh +Pending/);
    apply(pod("taker", [claimVolume("fresh")]));
    await shows(/\nfresh +Bound/);
    remove("pvc", "fresh", "--no-wait");
    await shows(/\nfresh +Terminating/);
    remove("pod", "taker");
    const ended = new Promise((resolve) => watcher.on("exit", (code, signal) => resolve([code, signal])));
    watcher.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  });
});

describe("finding the server", () => {
  it("by --csi-endpoint alone, whatever the data dir says", () => {
    const { endpoint } = server;
    const there = granary(["apply", "-f", "-", "--csi-endpoint", endpoint, "--data-dir", sandbox.dataDir], claim("by"));
    expect([there.code, there.stderr]).toEqual([0, "1 of 1 objects ready\n"]);
    expect(remove("pvc", "by", "--csi-endpoint", endpoint).code).toBe(0);
  });

  it("an endpoint where nobody listens: exit code 1, one clear line", () => {
    const { code, stderr } = apply(
      claim("lost"),
      "--csi-endpoint",
      `unix://${sandbox.dir}/nobody.sock`,
      "--timeout",
      "2s",
    );
    expect([code, lines(stderr)]).toEqual([1, [expect.stringMatching(/^granary: the server does not answer: /)]]);
    expect(remove("pvc", "lost").code).toBe(0);
  });

  it("no server on the data dir: exit code 1, says how to start one, stores nothing; get needs none", () => {
    const empty = join(sandbox.dir, "empty");
    const { code, stderr } = granary(["apply", "-f", "-", "--data-dir", empty], claim("x"));
    expect([code, stderr]).toEqual([
      1,
      `granary: no granary server runs on ${empty}; start one with: granary up --data-dir ${empty}\n`,
    ]);
    expect(granary(["delete", "pvc", "x", "--data-dir", empty]).code).toBe(1);
    expect(granary(["get", "pvc", "--data-dir", empty]).code).toBe(0);
    expect(existsSync(empty)).toBe(false);
  });

  it("a controller and a node apart: both are used; one alone: says which is missing", async () => {
    const apart = makeSandbox();
    const servers: TestServer[] = [];
    const flags = ["--data-dir", apart.dataDir];
    const manifests = storageClass("plain") + claim("split") + pod("split", [claimVolume("split")]);
    try {
      const controller = await startServer(apart, { role: "controller" });
      servers.push(controller);
      const alone = granary(["apply", "-f", "-", ...flags], manifests);
      expect([alone.code, alone.stderr]).toEqual([
        1,
        expect.stringMatching(/^granary: only granary controller runs on .*; start the other with: granary node /),
      ]);
      const half = granary(["apply", "-f", "-", "--csi-endpoint", controller.endpoint, ...flags], manifests);
      expect([half.code, half.stderr]).toEqual([1, expect.stringContaining("the server has no CSI node service")]);
      servers.push(await startServer(apart, { role: "node" }));
      const both = granary(["apply", "-f", "-", ...flags], manifests);
      expect([both.code, both.stderr]).toEqual([0, "3 of 3 objects ready\n"]);
      const deleted = granary(["delete", "-f", "-", ...flags], manifests);
      expect([deleted.code, deleted.stderr]).toEqual([0, ""]);
    } finally {
      for (const one of servers.reverse()) await one.stop();
      removeSandbox(apart);
    }
  });
});
