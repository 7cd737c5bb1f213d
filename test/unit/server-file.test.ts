import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  claimDataDir,
  claimObjectStore,
  findObjectStore,
  findServers,
  serverFiles,
} from "../../src/runtime/server-file.js";

const CHILD = fileURLToPath(new URL("./claim-data-dir.mjs", import.meta.url));
const CLAIMANTS = 12;

let dir = "";
let children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "granary-claim-"));
  children = [];
});
afterEach(async () => {
  for (const child of children) await kill(child);
  rmSync(dir, { recursive: true, force: true });
});

const endpoint = (name: string) => `unix://${dir}/${name}.sock`;

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

interface Answer {
  won: boolean;
  code?: string;
  message?: string;
  child: ChildProcess;
}

/** Starts one claimant of each role, lets all of them go at once, and waits for their answers. */
async function contend(roles: readonly string[]): Promise<Answer[]> {
  const go = join(dir, `go-${children.length}`);
  const started = await Promise.all(
    roles.map(async (role, i) => {
      const child = spawn(process.execPath, [CHILD, join(dir, "data"), role, endpoint(`${role}-${i}`), go], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.push(child);
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe("here");
      return { child, lines };
    }),
  );
  writeFileSync(go, "");
  return Promise.all(
    started.map(async ({ child, lines }) => ({
      ...(JSON.parse((await lines.next()).value as string) as Omit<Answer, "child">),
      child,
    })),
  );
}

describe("claimDataDir", () => {
  it("many starts at once over a killed server's files: exactly one wins, the others name it", async () => {
    for (let round = 0; round < 5; round++) {
      const answers = await contend(Array<string>(CLAIMANTS).fill("up"));
      const [winner, ...more] = answers.filter(({ won }) => won);
      expect(more).toEqual([]);
      for (const { won, code, message } of answers.filter((one) => one !== winner))
        expect([won, code, message]).toEqual([
          false,
          "failed-precondition",
          expect.stringContaining(`in use by granary, process ${winner?.child.pid};`),
        ]);
      const [file] = await serverFiles(join(dir, "data"));
      expect(file).toMatchObject({ alive: true, record: { pid: winner?.child.pid } });
      // What it leaves is what the next round finds.
      await kill(winner?.child as ChildProcess);
      expect(await findServers(join(dir, "data"))).toEqual({});
    }
  }, 60_000);

  it("up against a controller and a node at once: up alone, or others without it", async () => {
    for (let round = 0; round < 5; round++) {
      const roles = ["up", "controller", "node", "up", "controller", "node"];
      const answers = await contend(roles);
      const won = roles.filter((_role, i) => answers[i]?.won).sort();
      expect(new Set(won).size).toBe(won.length);
      if (won.includes("up")) expect(won).toEqual(["up"]);
      else expect(won.length).toBeGreaterThan(0);
      for (const { child } of answers) await kill(child);
    }
  }, 60_000);

  it("given back: the record is gone, and the next one takes it", async () => {
    const release = await claimDataDir(dir, "up", endpoint("a"));
    expect(await findServers(dir)).toEqual({ controller: endpoint("a"), node: endpoint("a") });
    await expect(claimDataDir(dir, "up", endpoint("b"))).rejects.toThrow(`process ${process.pid}`);
    expect(JSON.parse(readFileSync(join(dir, "server.json"), "utf8"))).toMatchObject({ csiEndpoint: endpoint("a") });
    await release();
    expect(readdirSync(dir)).toEqual(["locks"]);
    await (await claimDataDir(dir, "up", endpoint("b")))();
  });

  it("a controller and a node share a data dir, each is found, neither lets up start", async () => {
    const controller = await claimDataDir(dir, "controller", endpoint("c"));
    expect(await findServers(dir)).toEqual({ controller: endpoint("c") });
    const node = await claimDataDir(dir, "node", endpoint("n"));
    expect(await findServers(dir)).toEqual({ controller: endpoint("c"), node: endpoint("n") });
    await expect(claimDataDir(dir, "up", endpoint("u"))).rejects.toThrow("in use by granary");
    await controller();
    await expect(claimDataDir(dir, "up", endpoint("u"))).rejects.toThrow("in use by granary");
    // The refused ones took nothing with them.
    await (await claimDataDir(dir, "controller", endpoint("c")))();
    await node();
  });

  it("a node on its controller's endpoint: refused, and the controller keeps its own", async () => {
    const controller = await claimDataDir(dir, "controller", endpoint("csi"));
    await expect(claimDataDir(dir, "node", endpoint("csi"))).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringContaining("give this one another --csi-endpoint"),
    });
    expect(await findServers(dir)).toEqual({ controller: endpoint("csi") });
    await (await claimDataDir(dir, "node", endpoint("node")))();
    await controller();
  });

  it.each([
    ["torn", "{"],
    ["of a process whose id was given to another", JSON.stringify({ pid: process.pid, startTicks: "1" })],
  ])("a record that is %s: nobody's", async (_what, text) => {
    writeFileSync(join(dir, "server.json"), text);
    expect(await findServers(dir)).toEqual({});
    expect(await serverFiles(dir)).toMatchObject([{ path: join(dir, "server.json"), alive: false }]);
    await (await claimDataDir(dir, "up", endpoint("a")))();
  });
});

describe("claimObjectStore", () => {
  const place = { s3Endpoint: "http://127.0.0.1:1", adminSocket: "/a.sock", adminTokenFile: "/token" };

  it("found as starting, then with its place, and gone when it is given back", async () => {
    expect(await findObjectStore(dir)).toBeUndefined();
    const claim = await claimObjectStore(dir);
    expect(await findObjectStore(dir)).toBe("starting");
    await claim.announce(place);
    expect(await findObjectStore(dir)).toEqual(place);
    expect(await findServers(dir)).toEqual({});
    expect(await serverFiles(dir)).toMatchObject([{ path: join(dir, "objectstore.json"), alive: true }]);
    await claim.release();
    expect(await findObjectStore(dir)).toBeUndefined();
    expect(readdirSync(dir)).toEqual(["locks"]);
  });

  it("one at a time, beside the volumes' servers, of the same process or others", async () => {
    const up = await claimDataDir(dir, "up", endpoint("a"));
    const claim = await claimObjectStore(dir);
    await expect(claimObjectStore(dir)).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringContaining(`in use by granary, process ${process.pid}`),
    });
    await claim.announce(place);
    await up();
    expect(await findObjectStore(dir)).toEqual(place);
    await (await claimDataDir(dir, "controller", endpoint("c")))();
    await claim.release();
    await (await claimObjectStore(dir)).release();
  });

  it("what a killed one left: nobody's", async () => {
    writeFileSync(
      join(dir, "objectstore.json"),
      JSON.stringify({ pid: process.pid, startTicks: "1", objectStore: place }),
    );
    expect(await findObjectStore(dir)).toBeUndefined();
    await (await claimObjectStore(dir)).release();
  });
});
