import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claim, claimVolume, makeWorld, pod, storageClass, type World } from "./manifests-world.js";
import { mountsUnder } from "./server-harness.js";

let world: World;

const classes = (kind: string, group: string, name: string, policy = "Delete", annotations = "{}") => `
---
apiVersion: ${group}/v1
kind: ${kind}
metadata: { name: ${name}, annotations: ${annotations} }
driver: csi.granary.dev
deletionPolicy: ${policy}
`;
const DEFAULT = '{ snapshot.storage.kubernetes.io/is-default-class: "true" }';
const SNAPSHOT_GROUP = "snapshot.storage.k8s.io";
const GROUP_GROUP = "groupsnapshot.storage.k8s.io";

const snapshot = (name: string, claimName: string, className?: string) => `
---
apiVersion: ${SNAPSHOT_GROUP}/v1
kind: VolumeSnapshot
metadata: { name: ${name} }
spec:
  ${className ? `volumeSnapshotClassName: ${className}` : ""}
  source: { persistentVolumeClaimName: ${claimName} }
`;
const attributes = (name: string, reclaimSpace: string) => `
---
apiVersion: storage.k8s.io/v1
kind: VolumeAttributesClass
metadata: { name: ${name} }
driverName: csi.granary.dev
parameters: { reclaimSpace: ${reclaimSpace} }
`;
const fromSnapshot = (name: string) => ({ dataSource: { apiGroup: SNAPSHOT_GROUP, kind: "VolumeSnapshot", name } });
const fromClaim = (name: string) => ({ dataSource: { kind: "PersistentVolumeClaim", name } });

beforeAll(async () => {
  world = await makeWorld();
  await world.apply(
    storageClass("plain") +
      classes("VolumeSnapshotClass", SNAPSHOT_GROUP, "cut", "Delete", DEFAULT) +
      classes("VolumeSnapshotClass", SNAPSHOT_GROUP, "keep", "Retain") +
      classes("VolumeGroupSnapshotClass", GROUP_GROUP, "groups"),
  );
}, 60_000);
afterAll(() => world.close());

const write = (podName: string, text: string) => writeFileSync(join(world.path(podName, "data"), "file"), text);
const read = (podName: string) => readFileSync(join(world.path(podName, "data"), "file"), "utf8");

async function clear(...objects: ["Pod" | "PersistentVolumeClaim" | "VolumeSnapshot", string][]): Promise<void> {
  for (const [kind, name] of objects) {
    await world.remove(kind, name);
    expect(world.find(kind, name)).toBeUndefined();
  }
}

describe("snapshots and copies", () => {
  it("a restored claim holds the data of the cut, a clone that of its making", async () => {
    await world.apply(claim("origin") + pod("app", [claimVolume("origin")]));
    write("app", "at the cut");
    // A restore in the same folder waits for its snapshot.
    await world.apply(claim("restored", fromSnapshot("monday")) + snapshot("monday", "origin"));
    expect(world.get("VolumeSnapshot", "monday").status).toMatchObject({
      readyToUse: true,
      restoreSize: "32Mi",
      deletionPolicy: "Delete",
    });
    write("app", "after it");
    await world.apply(claim("cloned", fromClaim("origin")));
    write("app", "later");
    await world.apply(pod("old", [claimVolume("restored")]) + pod("copy", [claimVolume("cloned")]));
    expect([read("app"), read("old"), read("copy")]).toEqual(["later", "at the cut", "after it"]);
    await clear(["Pod", "app"], ["PersistentVolumeClaim", "origin"]);
    expect(read("old")).toBe("at the cut");
    await clear(["VolumeSnapshot", "monday"], ["Pod", "old"], ["PersistentVolumeClaim", "restored"]);
    await clear(["Pod", "copy"], ["PersistentVolumeClaim", "cloned"]);
    expect([await world.volumeIds(), await world.snapshotIds()]).toEqual([[], []]);
  });

  it("a claim smaller than its source waits, and says what to ask for", async () => {
    await world.apply(claim("big", { resources: { requests: { storage: "64Mi" } } }));
    const result = await world.apply(claim("small", fromClaim("big")));
    expect(result.failed).toMatchObject([{ message: expect.stringContaining("at least 64Mi") }]);
    expect(world.get("PersistentVolumeClaim", "small").status.phase).toBe("Pending");
    await clear(["PersistentVolumeClaim", "small"], ["PersistentVolumeClaim", "big"]);
  });

  it("deletionPolicy Retain keeps the snapshot of a deleted VolumeSnapshot", async () => {
    await world.apply(claim("source") + snapshot("kept", "source", "keep"));
    const id = world.get("VolumeSnapshot", "kept").status.snapshotHandle ?? "";
    await clear(["VolumeSnapshot", "kept"], ["PersistentVolumeClaim", "source"]);
    expect(await world.snapshotIds()).toEqual([id]);
    await world.server.client.call("Controller", "DeleteSnapshot", { snapshot_id: id });
  });

  it("a group is one snapshot a claim; a member goes with its group only", async () => {
    const labels = { app: "shop" };
    const group = `
---
apiVersion: ${GROUP_GROUP}/v1
kind: VolumeGroupSnapshot
metadata: { name: nightly }
spec: { volumeGroupSnapshotClassName: groups, source: { selector: { matchLabels: { app: shop } } } }
`;
    await world.apply(claim("orders", {}, labels) + claim("stock", {}, labels) + claim("other") + group);
    const { members, readyToUse } = world.get("VolumeGroupSnapshot", "nightly").status;
    expect(readyToUse).toBe(true);
    expect(members.map((member) => member.claimName).sort()).toEqual(["orders", "stock"]);
    expect((await world.snapshotIds()).sort()).toEqual(members.map((member) => member.snapshotHandle).sort());
    const name = members[0]?.snapshotName ?? "";
    expect((await world.remove("VolumeSnapshot", name)).failed).toMatchObject([{ reason: "SnapshotInGroup" }]);
    expect(await world.snapshotIds()).toHaveLength(2);
    await world.remove("VolumeGroupSnapshot", "nightly");
    expect(world.find("VolumeGroupSnapshot", "nightly")).toBeUndefined();
    expect([world.store.list("VolumeSnapshot"), await world.snapshotIds()]).toEqual([[], []]);
    for (const one of ["orders", "stock", "other"]) await clear(["PersistentVolumeClaim", one]);
  });
});

describe("a VolumeAttributesClass", () => {
  it("is applied at creation and when the claim names another; a wrong one is refused", async () => {
    await world.apply(attributes("daily", "24h") + attributes("hourly", "1h") + attributes("never-valid", "sometimes"));
    await world.apply(claim("tuned", { volumeAttributesClassName: "daily" }));
    const current = () => world.get("PersistentVolumeClaim", "tuned").status.currentVolumeAttributesClassName;
    expect(current()).toBe("daily");
    await world.apply(claim("tuned", { volumeAttributesClassName: "hourly" }));
    expect(current()).toBe("hourly");
    const result = await world.apply(claim("tuned", { volumeAttributesClassName: "never-valid" }));
    expect(result.failed).toMatchObject([{ message: expect.stringContaining("INVALID_ARGUMENT") }]);
    expect(current()).toBe("hourly");
    await clear(["PersistentVolumeClaim", "tuned"]);
  });
});

describe("ephemeral volumes", () => {
  it("generic: a claim of the pod's own, gone with it", async () => {
    const spec = {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "plain",
      resources: { requests: { storage: "32Mi" } },
    };
    await world.apply(pod("worker", [{ name: "scratch", ephemeral: { volumeClaimTemplate: { spec } } }]));
    expect(world.get("PersistentVolumeClaim", "worker-scratch").status.phase).toBe("Bound");
    writeFileSync(join(world.path("worker", "scratch"), "x"), "");
    await clear(["Pod", "worker"]);
    expect(world.find("PersistentVolumeClaim", "worker-scratch")).toBeUndefined();
    expect(await world.volumeIds()).toEqual([]);
  });

  it("inline: made by the publish, gone with the pod, and never attached", async () => {
    const csi = { driver: "csi.granary.dev", volumeAttributes: { size: "32Mi" } };
    await world.apply(pod("inline", [{ name: "cache", csi }]));
    const path = world.path("inline", "cache");
    const { uid } = world.get("Pod", "inline").metadata;
    expect(path).toBe(join(world.sandbox.dataDir, `kubelet/pods/${uid}/volumes/kubernetes.io~csi/cache/mount`));
    expect(mountsUnder(world.sandbox.dir)).toContain(path);
    expect(world.store.list("VolumeAttachment")).toEqual([]);
    await clear(["Pod", "inline"]);
    expect(mountsUnder(world.sandbox.dir)).not.toContain(path);
    expect(world.kubeletFiles().filter((file) => file.startsWith("pods/"))).toEqual([]);
  });
});
