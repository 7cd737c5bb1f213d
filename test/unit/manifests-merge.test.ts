import { describe, expect, it } from "vitest";
import { mergeApplied } from "../../src/manifests/merge.js";
import type { AnyObject, ObjectOf, PersistentVolumeClaim } from "../../src/manifests/objects.js";
import { parseManifestText } from "../../src/manifests/read-manifests.js";
import { parseAllObjects } from "../../src/manifests/schema.js";

const read = (text: string) => parseAllObjects(parseManifestText("f.yaml", text), "default")[0] as AnyObject;
const claim = (spec = "", meta = "", size = "1Gi") =>
  read(
    `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data${meta}}, spec: {accessModes: [ReadWriteOnce, ReadOnlyMany], resources: {requests: {storage: ${size}}}${spec}}}`,
  ) as PersistentVolumeClaim;
const NOW = new Date("2026-01-02T03:04:05Z");

/** A claim as it is once bound: with what the provisioner fills in. */
function bound(): PersistentVolumeClaim {
  const created = mergeApplied(claim(), undefined, NOW).object as PersistentVolumeClaim;
  created.metadata.finalizers = ["kubernetes.io/pvc-protection"];
  created.metadata.annotations["pv.kubernetes.io/bind-completed"] = "yes";
  created.metadata.annotations.note = "old";
  created.spec.volumeName = "pvc-1";
  created.spec.storageClassName = "fast";
  created.status = {
    phase: "Bound",
    accessModes: ["ReadWriteOnce"],
    capacity: { storage: "1073741824" },
    conditions: [],
  };
  return created;
}

describe("mergeApplied", () => {
  it("nothing stored: created, with a uid of its own and the time", () => {
    const [first, second] = [mergeApplied(claim(), undefined, NOW), mergeApplied(claim(), undefined, NOW)];
    expect(first.result).toBe("created");
    expect(first.object.metadata.creationTimestamp).toBe(NOW.toISOString());
    expect(first.object.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(first.object.metadata.uid).not.toBe(second.object.metadata.uid);
  });

  it("the same manifest again, after it was bound: unchanged but for annotations that the manifest no longer has", () => {
    const stored = bound();
    const merged = mergeApplied(claim(), stored);
    expect(merged.result).toBe("configured");
    expect(merged.object.metadata.annotations).toEqual({ "pv.kubernetes.io/bind-completed": "yes" });
    expect(mergeApplied(claim(), merged.object)).toEqual({ object: merged.object, result: "unchanged" });
    expect(merged.object).toMatchObject({ spec: stored.spec, status: stored.status });
    expect(merged.object.metadata.finalizers).toEqual(stored.metadata.finalizers);
    expect(merged.object.metadata.uid).toBe(stored.metadata.uid);
  });

  it("labels, a larger size and another attributes class: configured, the rest stays", () => {
    const { object, result } = mergeApplied(
      claim(", volumeAttributesClassName: gold", ", labels: {a: b}", "2Gi"),
      bound(),
    );
    expect(result).toBe("configured");
    expect(object).toMatchObject({
      metadata: { labels: { a: "b" } },
      spec: { volumeName: "pvc-1", volumeAttributesClassName: "gold", resources: { requests: { storage: "2Gi" } } },
    });
  });

  it("the same size in other words, access modes in another order: no change of what they mean", () => {
    const stored = bound();
    stored.metadata.annotations = {};
    const applied = claim("", "", "1024Mi");
    applied.spec.accessModes.reverse();
    const { object } = mergeApplied(applied, stored);
    expect((object as PersistentVolumeClaim).spec.accessModes).toEqual(stored.spec.accessModes);
  });

  it.each([
    ["a smaller size", claim("", "", "1Mi"), "cannot shrink: it asks for 1Gi, and 1Mi is less"],
    ["another class", claim(", storageClassName: slow"), 'spec.storageClassName: field is immutable; it is "fast"'],
    ["another volume", claim(", volumeName: pv-2"), "spec.volumeName: field is immutable"],
    ["another mode", claim(", volumeMode: Block"), "spec.volumeMode: field is immutable"],
    ["a source", claim(", dataSource: {kind: PersistentVolumeClaim, name: b}"), "spec.dataSource: field is immutable"],
  ])("%s for a bound claim: refused, naming the claim and the field", (_what, applied, message) => {
    expect(() => mergeApplied(applied, bound())).toThrow(message);
    expect(() => mergeApplied(applied, bound())).toThrow(/^persistentvolumeclaim\/data: spec\./);
  });

  it("a class: what it makes volumes with is immutable, mount options are not", () => {
    const text = (more: string) =>
      read(`{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: a}, provisioner: p${more}}`);
    const stored = mergeApplied(text(""), undefined).object;
    for (const more of [", parameters: {a: b}", ", reclaimPolicy: Retain", ", volumeBindingMode: WaitForFirstConsumer"])
      expect(() => mergeApplied(text(more), stored)).toThrow(
        /^storageclass\.storage\.k8s\.io\/a: \w+: field is immutable/,
      );
    expect(mergeApplied(text(", mountOptions: [noatime], allowVolumeExpansion: true"), stored).result).toBe(
      "configured",
    );
  });

  it("a class that is no longer the default: its annotation goes", () => {
    const text = (meta: string) =>
      read(`{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: a${meta}}, provisioner: p}`);
    const annotated = ', annotations: {storageclass.kubernetes.io/is-default-class: "true"}';
    const stored = mergeApplied(text(annotated), undefined).object;
    expect(mergeApplied(text(""), stored).object.metadata.annotations).toEqual({});
  });

  it("a pod's spec is immutable, its labels are not", () => {
    const pod = (meta: string, path: string) =>
      read(
        `{apiVersion: v1, kind: Pod, metadata: {name: p${meta}}, spec: {volumes: [{name: d, emptyDir: {}}], containers: [{name: c, volumeMounts: [{name: d, mountPath: ${path}}]}]}}`,
      );
    const stored = mergeApplied(pod("", "/a"), undefined).object;
    expect(mergeApplied(pod("", "/a"), stored).result).toBe("unchanged");
    expect(mergeApplied(pod(", labels: {a: b}", "/a"), stored).result).toBe("configured");
    expect(() => mergeApplied(pod("", "/b"), stored)).toThrow("pod/p: spec.containers: field is immutable");
  });

  it("a volume that was bound and expanded: its manifest takes neither back, its source is immutable", () => {
    const pv = (handle: string) =>
      read(
        `{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], csi: {driver: d, volumeHandle: ${handle}}}}`,
      ) as ObjectOf["PersistentVolume"];
    const stored = mergeApplied(pv("h"), undefined).object as ObjectOf["PersistentVolume"];
    stored.spec.claimRef = { kind: "PersistentVolumeClaim", namespace: "default", name: "data", uid: "u" };
    stored.spec.capacity.storage = "2Gi";
    stored.status.phase = "Bound";
    expect(mergeApplied(pv("h"), stored)).toEqual({ object: stored, result: "unchanged" });
    expect(() => mergeApplied(pv("other"), stored)).toThrow("persistentvolume/v: spec.csi: field is immutable");
  });

  it("a snapshot that is ready: status and class stay, its source is immutable", () => {
    const snapshot = (source: string) =>
      read(
        `{apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshot, metadata: {name: s}, spec: {source: {persistentVolumeClaimName: ${source}}}}`,
      ) as ObjectOf["VolumeSnapshot"];
    const stored = mergeApplied(snapshot("a"), undefined).object as ObjectOf["VolumeSnapshot"];
    stored.spec.volumeSnapshotClassName = "fast";
    stored.status.readyToUse = true;
    expect(mergeApplied(snapshot("a"), stored)).toEqual({ object: stored, result: "unchanged" });
    expect(() => mergeApplied(snapshot("b"), stored)).toThrow("spec.source: field is immutable");
  });
});
