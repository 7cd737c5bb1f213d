import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openObjectStore } from "../../src/manifests/object-store.js";
import { claim, claimVolume, pod, storageClass } from "./manifests-world.js";
import {
  granary,
  loopsUnder,
  makeSandbox,
  mountsUnder,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

const OBJECTS = storageClass("plain") + claim("data") + pod("app", [claimVolume("data")]);

let sandbox: Sandbox;
let server: TestServer;
let path = "";

const run = (args: readonly string[], input = "") => granary([...args, "--data-dir", sandbox.dataDir], input);
const kubelet = () => join(sandbox.dataDir, "kubelet");

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  expect(run(["apply", "-f", "-"], OBJECTS).code).toBe(0);
  path = JSON.parse(run(["get", "pod", "app", "-o", "json"]).stdout).status.mounts[0].hostPath;
  writeFileSync(join(path, "file"), "still here", { flush: true });
}, 60_000);
afterAll(async () => {
  await server.stop();
  removeSandbox(sandbox);
});

/** What a restart of the host leaves of mounts and devices: nothing but the pool. */
function forgetMounts(): void {
  for (const mount of mountsUnder(kubelet()).reverse()) spawnSync("umount", [mount]);
  for (const device of loopsUnder(sandbox.poolDir)) spawnSync("losetup", ["-d", device]);
  expect([mountsUnder(kubelet()), loopsUnder(sandbox.poolDir), existsSync(join(path, "file"))]).toEqual([
    [],
    [],
    false,
  ]);
}

async function logged(text: RegExp): Promise<void> {
  for (const endMs = Date.now() + 30_000; !text.test(server.log()); ) {
    if (Date.now() > endMs) throw new Error(`the server never logged ${text}:\n${server.log()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("granary up after a restart of the host", () => {
  it.each(["stop", "kill"] as const)(
    "ended by %s: its pods have their data again, without a command",
    async (how) => {
      await server[how]();
      forgetMounts();
      server = await startServer(sandbox);
      await logged(/objects resumed: 1 of 1 pods have their volumes/);
      expect(readFileSync(join(path, "file"), "utf8")).toBe("still here");
      expect(run(["doctor"]).code).toBe(0);
    },
    60_000,
  );

  it("a claim whose apply was killed before anything was made is finished too", async () => {
    await server.stop();
    const store = await openObjectStore(sandbox.dataDir, { lock: true, timeoutMs: 5000 });
    const stored = store.get("PersistentVolumeClaim", "default", "data");
    if (!stored) throw new Error("no claim data");
    const { volumeName: _none, ...spec } = stored.spec;
    const metadata = { ...stored.metadata, name: "late", uid: "9e9b3a2c-0000-4000-8000-000000000001", annotations: {} };
    await store.put({ ...stored, metadata, spec, status: { phase: "Pending", accessModes: [], conditions: [] } });
    await store.close();
    server = await startServer(sandbox);
    await logged(/objects resumed/);
    expect(run(["get", "pvc", "late"]).stdout).toContain("Bound");
    expect(run(["delete", "pvc", "late"]).code).toBe(0);
  }, 60_000);

  it("a command that holds the objects goes first: the server is ready, waits for it, and stops at once on SIGTERM", async () => {
    await server.stop();
    forgetMounts();
    const store = await openObjectStore(sandbox.dataDir, { lock: true, timeoutMs: 5000 });
    server = await startServer(sandbox);
    await logged(new RegExp(`objects are resumed later: waiting for another granary command, process ${process.pid}`));
    expect((await server.client.call("Identity", "Probe", {})).ready).toMatchObject({ value: true });
    expect(await server.stop()).toBe(0);
    expect(mountsUnder(kubelet())).toEqual([]);
    server = await startServer(sandbox);
    await logged(/objects are resumed later/);
    await store.close();
    await logged(/objects resumed: 1 of 1 pods/);
    expect(readFileSync(join(path, "file"), "utf8")).toBe("still here");
  }, 60_000);

  it("what cannot be done is logged with its reason, and keeps neither server nor others from their work", async () => {
    expect(run(["apply", "-f", "-"], claim("huge", { resources: { requests: { storage: "4Pi" } } })).code).toBe(1);
    await server.stop();
    forgetMounts();
    server = await startServer(sandbox);
    await logged(/objects resumed: 1 of 1 pods/);
    expect(server.log()).toMatch(/persistentvolumeclaim\/huge: (OUT_OF_RANGE|RESOURCE_EXHAUSTED)/);
    expect(run(["delete", "pvc", "huge"]).code).toBe(0);
  }, 60_000);

  it("a data dir without objects: nothing is said of them", async () => {
    for (const kind of ["pod", "pvc"]) expect(run(["delete", kind, "--all"]).code).toBe(0);
    await server.stop();
    server = await startServer(sandbox);
    await server.client.call("Identity", "Probe", {});
    await server.stop();
    expect(server.log()).not.toContain("objects");
  }, 60_000);
});
