import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openObjectStore } from "../../src/manifests/object-store.js";
import type { Kind, ObjectStore } from "../../src/manifests/objects.js";
import { claim, claimVolume, parseYaml, pod, storageClass, storeObject } from "./manifests-world.js";
import {
  makeSandbox,
  mountsUnder,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

const CHILD = fileURLToPath(new URL("./reconcile-until-killed.mjs", import.meta.url));
const SNAPSHOT = "snapshot.storage.k8s.io";
const KINDS: readonly Kind[] = [
  "Pod",
  "PersistentVolumeClaim",
  "VolumeSnapshot",
  "PersistentVolume",
  "VolumeAttachment",
];

// 4 KiB blocks can be mounted from a device of any sector size.
const CLASSES = `${storageClass("plain", ["parameters: { mkfsOptions: '-b 4096' }"])}
---
apiVersion: ${SNAPSHOT}/v1
kind: VolumeSnapshotClass
metadata: { name: cut }
driver: csi.granary.dev
deletionPolicy: Delete
`;
const OBJECTS = `${claim("data")}${pod("app", [claimVolume("data")])}
---
apiVersion: ${SNAPSHOT}/v1
kind: VolumeSnapshot
metadata: { name: cut }
spec: { volumeSnapshotClassName: cut, source: { persistentVolumeClaimName: data } }
${claim("copy", { dataSource: { apiGroup: SNAPSHOT, kind: "VolumeSnapshot", name: "cut" } })}`;

let sandbox: Sandbox;
let server: TestServer;

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  await change(async (store) => {
    for (const object of parseYaml(CLASSES)) await storeObject(store, object);
  });
}, 60_000);
afterAll(async () => {
  await server.stop();
  removeSandbox(sandbox);
});

async function change<T>(work: (store: Awaited<ReturnType<typeof openObjectStore>>) => Promise<T>): Promise<T> {
  const store = await openObjectStore(sandbox.dataDir, { lock: true, timeoutMs: 5000 });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The steps it took, or undefined when it was killed at the one that was asked for. */
function reconcileUntil(dieAt: number): number | undefined {
  const args = [CHILD, sandbox.dataDir, server.endpoint, String(dieAt)];
  const child = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (child.signal === "SIGKILL") return undefined;
  expect(child.stderr).toBe("");
  const { steps, problems } = JSON.parse(child.stdout) as { steps: number; problems: unknown[] };
  expect(problems).toEqual([]);
  return steps;
}

/** How many of everything there is, in the driver and in the store. */
async function census() {
  const { entries: volumes } = await server.client.call("Controller", "ListVolumes", {});
  const { entries: snapshots } = await server.client.call("Controller", "ListSnapshots", {});
  const objects = await change(async (store) => KINDS.map((kind) => store.list(kind).length));
  const mounts = mountsUnder(`${sandbox.dataDir}/kubelet`).length;
  return { volumes: volumes.length, snapshots: snapshots.length, objects, mounts };
}

async function requestDeletion(store: ObjectStore): Promise<void> {
  for (const kind of ["Pod", "PersistentVolumeClaim", "VolumeSnapshot"] as const) {
    for (const object of store.list(kind)) {
      if (object.metadata.finalizers.length === 0) await store.remove(object);
      else {
        const metadata = { ...object.metadata, deletionTimestamp: new Date().toISOString() };
        await store.put({ ...object, metadata });
      }
    }
  }
}

const NOTHING = { volumes: 0, snapshots: 0, objects: [0, 0, 0, 0, 0], mounts: 0 };

describe("a reconcile that is killed", () => {
  it("between any two steps of making: the next one ends in the same state, and of deleting: in nothing", async () => {
    let finished = { making: false, deleting: false };
    let rounds = 0;
    for (; !(finished.making && finished.deleting); rounds++) {
      await change(async (store) => {
        for (const object of parseYaml(OBJECTS)) await storeObject(store, object);
      });
      const making = reconcileUntil(rounds + 1) !== undefined;
      if (!making) reconcileUntil(0);
      expect(await census()).toEqual({ volumes: 2, snapshots: 1, objects: [1, 2, 1, 2, 1], mounts: 2 });
      await change(requestDeletion);
      const deleting = reconcileUntil(rounds + 1) !== undefined;
      if (!deleting) reconcileUntil(0);
      expect(await census()).toEqual(NOTHING);
      finished = { making, deleting };
    }
    expect(rounds).toBeGreaterThan(20);
  }, 300_000);

  it("and its objects deleted at once: nothing that was in flight is forgotten", async () => {
    for (let dieAt = 1, over = false; !over; dieAt += 2) {
      await change(async (store) => {
        for (const object of parseYaml(OBJECTS)) await storeObject(store, object);
      });
      over = reconcileUntil(dieAt) !== undefined;
      await change(requestDeletion);
      reconcileUntil(0);
      expect(await census()).toEqual(NOTHING);
    }
  }, 300_000);
});
