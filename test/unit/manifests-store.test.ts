import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { markDeleted, mergeApplied } from "../../src/manifests/merge.js";
import { type OpenedObjectStore, openObjectStore } from "../../src/manifests/object-store.js";
import type { AnyObject } from "../../src/manifests/objects.js";
import { parseManifestText } from "../../src/manifests/read-manifests.js";
import { parseAllObjects } from "../../src/manifests/schema.js";
import { lockObjects } from "../../src/manifests/store-lock.js";

let dir = "";
const open: OpenedObjectStore[] = [];
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "granary-objects-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }
  for (const store of open.splice(0)) await store.close();
  rmSync(dir, { recursive: true, force: true });
});

function claim(name: string, namespace = "default"): AnyObject {
  const text = `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: ${name}}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}`;
  const [object] = parseAllObjects(parseManifestText("f", text), namespace);
  return mergeApplied(object as AnyObject, undefined).object;
}

async function writer(): Promise<OpenedObjectStore> {
  const store = await openObjectStore(dir, { lock: true, timeoutMs: 0 });
  open.push(store);
  return store;
}
const reader = () => openObjectStore(dir, { lock: false });

/** Another process, which the lock can be said to belong to. */
function otherProcess(): { pid: number; startTicks: string; child: ChildProcess } {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  children.push(child);
  const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  return { pid: child.pid ?? 0, startTicks, child };
}

function leaveLock(owner: unknown): void {
  mkdirSync(join(dir, "objects"), { recursive: true });
  writeFileSync(join(dir, "objects", "lock.1.json"), typeof owner === "string" ? owner : JSON.stringify(owner));
}

describe("object store", () => {
  it("an empty data dir: no objects, and a reader makes nothing", async () => {
    expect((await reader()).list("Pod")).toEqual([]);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("what was put is there for the next command, by namespace and name", async () => {
    const store = await writer();
    const [a, b] = [claim("data"), claim("data", "shop")];
    await store.put(a);
    await store.put(b);
    const again = await reader();
    expect(again.list("PersistentVolumeClaim")).toEqual([a, b]);
    expect(again.get("PersistentVolumeClaim", "shop", "data")).toEqual(b);
    expect(again.get("PersistentVolumeClaim", "other", "data")).toBeUndefined();
  });

  it("a name that looks like another's events, and the longest name: both kept", async () => {
    const store = await writer();
    const names = ["data", "data.events", "a".repeat(253), `${"a".repeat(252)}b`];
    for (const name of names) {
      const object = claim(name);
      await store.put(object);
      await store.event(object, "Normal", "Made", name);
    }
    const again = await reader();
    expect(
      again
        .list("PersistentVolumeClaim")
        .map((object) => object.metadata.name)
        .sort(),
    ).toEqual([...names].sort());
    for (const name of names) expect(again.events(claim(name)).map((event) => event.message)).toEqual([name]);
  });

  it("events: the same again is counted, they survive a restart, and go with the object", async () => {
    const store = await writer();
    const object = claim("data");
    await store.put(object);
    for (let i = 0; i < 3; i++) await store.event(object, "Warning", "ProvisioningFailed", "no room");
    await store.event(object, "Normal", "Provisioned", "done");
    const events = (await reader()).events(object);
    expect(events.map(({ reason, count }) => [reason, count])).toEqual([
      ["ProvisioningFailed", 3],
      ["Provisioned", 1],
    ]);
    await store.remove(object);
    expect((await reader()).events(object)).toEqual([]);
    expect(readdirSync(join(dir, "objects", "PersistentVolumeClaim", "default"))).toEqual([]);
  });

  it("60 different events: the last 50 are kept", async () => {
    const store = await writer();
    const object = claim("data");
    await store.put(object);
    for (let i = 0; i < 60; i++) await store.event(object, "Normal", "Step", `step ${i}`);
    const messages = (await reader()).events(object).map((event) => event.message);
    expect(messages).toEqual(Array.from({ length: 50 }, (_unused, i) => `step ${i + 10}`));
  });

  it.each([
    ["no JSON", "{"],
    ["another kind", '{"kind":"Pod"}'],
    ["null", "null"],
    [
      "another name",
      '{"kind":"PersistentVolumeClaim","metadata":{"name":"b","namespace":"default","uid":"u","finalizers":[],"labels":{},"annotations":{}}}',
    ],
  ])("a file that holds %s: an error that names it", async (_what, text) => {
    const folder = join(dir, "objects", "PersistentVolumeClaim", "default");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "a.json"), text);
    await expect(reader()).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringContaining(join(folder, "a.json")),
    });
  });

  it("a crash before the rename: the torn temporary file is not read", async () => {
    const store = await writer();
    const object = claim("data");
    await store.put(object);
    writeFileSync(join(dir, "objects", "PersistentVolumeClaim", "default", "data.json.tmp"), '{"kind":');
    expect((await reader()).list("PersistentVolumeClaim")).toEqual([object]);
  });
});

describe("markDeleted", () => {
  it("without finalizers: gone at once; with one: marked, and the mark's time stays", async () => {
    const store = await writer();
    const [free, held] = [claim("free"), claim("held")];
    held.metadata.finalizers = ["kubernetes.io/pvc-protection"];
    await store.put(free);
    await store.put(held);
    expect(await markDeleted(store, free)).toBe("removed");
    const at = new Date("2026-01-02T03:04:05Z");
    expect(await markDeleted(store, held, at)).toBe("marked");
    const marked = store.get("PersistentVolumeClaim", "default", "held") as AnyObject;
    await markDeleted(store, marked, new Date());
    expect(
      (await reader()).list("PersistentVolumeClaim").map((o) => [o.metadata.name, o.metadata.deletionTimestamp]),
    ).toEqual([["held", at.toISOString()]]);
  });
});

describe("the store's lock", () => {
  it("a second writer: refused with the first's process, readers are not", async () => {
    await writer();
    await expect(openObjectStore(dir, { lock: true, timeoutMs: 0 })).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await expect(reader()).resolves.toBeDefined();
  });

  it("a live process holds it: waits and says for whom, and goes on when that one dies without giving it back", async () => {
    const other = otherProcess();
    leaveLock({ pid: other.pid, startTicks: other.startTicks });
    const told: string[] = [];
    const release = await lockObjects(join(dir, "objects"), {
      timeoutMs: 20_000,
      onWait: (message) => {
        told.push(message);
        other.child.kill("SIGKILL");
      },
    });
    expect(told).toEqual([expect.stringContaining(`process ${other.pid}`)]);
    await release();
    await expect(writer()).resolves.toBeDefined();
  });

  it.each([
    ["a dead process", { pid: 2 ** 22 + 1, startTicks: "5" }],
    ["a process whose id was given to another", { pid: process.pid, startTicks: "1" }],
    ["nobody, torn", "{"],
  ])("left behind by %s: taken over", async (_what, owner) => {
    leaveLock(owner);
    const store = await writer();
    await store.put(claim("data"));
    await store.close();
    await expect(writer()).resolves.toBeDefined();
  });

  it("20 takers of a dead owner's lock: one at a time, each gets it", async () => {
    leaveLock({ pid: 2 ** 22 + 1, startTicks: "5" });
    let inside = 0;
    let most = 0;
    const takers = Array.from({ length: 20 }, async () => {
      const release = await lockObjects(join(dir, "objects"), { timeoutMs: 30_000 });
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 2));
      inside--;
      await release();
    });
    await Promise.all(takers);
    expect(most).toBe(1);
    // Used-up lock files do not pile up, and no taker leaves anything else.
    const left = readdirSync(join(dir, "objects"));
    expect(left.length).toBeLessThanOrEqual(8);
    expect(left.filter((name) => !/^lock\.\d+\.json$/.test(name))).toEqual([]);
  });
});
