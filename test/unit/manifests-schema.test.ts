import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StorageError } from "../../src/errors/storage-error.js";
import type { AnyObject, ObjectOf } from "../../src/manifests/objects.js";
import { printObjects } from "../../src/manifests/output.js";
import { parseManifestText } from "../../src/manifests/read-manifests.js";
import { parseAllObjects } from "../../src/manifests/schema.js";

const parse = (text: string, namespace = "default") => parseAllObjects(parseManifestText("f.yaml", text), namespace);
const one = (text: string): AnyObject => parse(text)[0] as AnyObject;

const CLAIM = `apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 1Gi
`;
const POD = `apiVersion: v1
kind: Pod
metadata: {name: db}
spec:
  securityContext: {fsGroup: 999, runAsUser: 1}
  volumes:
    - name: data
      persistentVolumeClaim: {claimName: data}
    - name: raw
      persistentVolumeClaim: {claimName: raw}
    - name: scratch
      ephemeral:
        volumeClaimTemplate:
          spec:
            accessModes: [ReadWriteOnce]
            resources: {requests: {storage: 1Gi}}
    - name: inline
      csi: {driver: csi.granary.dev, volumeAttributes: {size: 1Gi}}
    - name: tmp
      emptyDir: {medium: Memory}
  initContainers: [{name: init, image: busybox, volumeMounts: [{name: data, mountPath: /d, subPath: a/b}]}]
  containers:
    - name: db
      image: postgres
      command: [run]
      env: [{name: A, value: b}]
      volumeMounts: [{name: data, mountPath: /var/lib, readOnly: true}]
      volumeDevices: [{name: raw, devicePath: /dev/xvda}]
`;
const snapshot = (source: string) =>
  `{apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshot, metadata: {name: s}, spec: {source: ${source}}}`;
const CLASS =
  "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, provisioner: csi.granary.dev}";
const ALL = [
  CLAIM,
  POD,
  snapshot("{persistentVolumeClaimName: data}"),
  CLASS,
  "{apiVersion: v1, kind: PersistentVolume, metadata: {name: pv}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], mountOptions: [noatime], claimRef: {name: data, apiVersion: v1}, csi: {driver: csi.granary.dev, volumeHandle: h}}}",
  "{apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshotClass, metadata: {name: c}, driver: csi.granary.dev, deletionPolicy: Delete}",
  "{apiVersion: groupsnapshot.storage.k8s.io/v1beta2, kind: VolumeGroupSnapshotClass, metadata: {name: c}, driver: csi.granary.dev, deletionPolicy: Retain}",
  "{apiVersion: groupsnapshot.storage.k8s.io/v1beta1, kind: VolumeGroupSnapshot, metadata: {name: g}, spec: {source: {selector: {matchLabels: {app: db}}}}}",
  "{apiVersion: storage.k8s.io/v1beta1, kind: VolumeAttributesClass, metadata: {name: gold}, driverName: csi.granary.dev, parameters: {reclaimSpace: 1h}}",
].join("\n---\n");

describe("parseObjects", () => {
  it("a claim: complete with Kubernetes' defaults, in the given namespace", () => {
    expect(parse(CLAIM, "shop")[0]).toEqual({
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: {
        name: "data",
        namespace: "shop",
        uid: "",
        creationTimestamp: "",
        labels: {},
        annotations: {},
        finalizers: [],
      },
      spec: { accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem", resources: { requests: { storage: "1Gi" } } },
      status: { phase: "Pending", accessModes: [], conditions: [] },
    });
  });

  it("a class: complete with defaults, in no namespace", () => {
    const fast = one(CLASS) as ObjectOf["StorageClass"];
    expect(fast).toMatchObject({
      reclaimPolicy: "Delete",
      volumeBindingMode: "Immediate",
      allowVolumeExpansion: false,
    });
    expect([fast.parameters, fast.mountOptions, fast.allowedTopologies]).toEqual([{}, [], []]);
    expect(fast.metadata.namespace).toBe("");
  });

  it("a pod: its volumes, mounts and fsGroup; what storage does not need is left out", () => {
    const pod = one(POD) as ObjectOf["Pod"];
    expect(pod.spec.fsGroup).toBe(999);
    expect(pod.spec.volumes.map((volume) => volume.other ?? Object.keys(volume).sort().join())).toEqual([
      "name,persistentVolumeClaim",
      "name,persistentVolumeClaim",
      "ephemeral,name",
      "csi,name",
      "emptyDir",
    ]);
    expect(pod.spec.containers[0]).toEqual({
      name: "db",
      volumeMounts: [{ name: "data", mountPath: "/var/lib", subPath: "", readOnly: true }],
      volumeDevices: [{ name: "raw", devicePath: "/dev/xvda" }],
    });
    expect(pod.spec.initContainers[0]?.volumeMounts[0]?.subPath).toBe("a/b");
  });

  it("every kind is read, older versions are written as the newest, and json and yaml output is read again the same", () => {
    const objects = parse(ALL);
    expect(new Set(objects.map((object) => object.kind)).size).toBe(9);
    expect(objects.at(-1)?.apiVersion).toBe("storage.k8s.io/v1");
    for (const format of ["json", "yaml"] as const)
      expect(parse(printObjects(objects, format, false))).toEqual(objects);
  });

  it("what kubectl get -o yaml adds, and fields that are null: no difference", () => {
    const noisy = `${CLAIM.replace("  name: data", "  name: data\n  uid: u\n  resourceVersion: '1'\n  generation: 2\n  managedFields: [{a: b}]\n  creationTimestamp: null\n  labels: null\n  finalizers: [kubernetes.io/pvc-protection]")}status: {phase: Bound}\n`;
    expect(parse(noisy)).toEqual(parse(CLAIM));
  });

  it.each([
    [
      "a misspelt field",
      CLAIM.replace("accessModes", "accesModes"),
      'spec: unknown field "accesModes"; did you mean "accessModes"?',
    ],
    [
      "a misspelt field of the document",
      CLAIM.replace("spec:", "specs:"),
      'unknown field "specs"; did you mean "spec"?',
    ],
    [
      "a misspelt field of the class",
      CLASS.replace("provisioner", "reclaimPolic: Delete, provisioner"),
      'did you mean "reclaimPolicy"?',
    ],
    ["no access mode", CLAIM.replace("[ReadWriteOnce]", "[]"), "spec.accessModes: must name at least one"],
    [
      "an unknown access mode",
      CLAIM.replace("ReadWriteOnce", "ReadWriteOnc"),
      'spec.accessModes[0]: "ReadWriteOnc" is none of',
    ],
    [
      "ReadWriteOncePod with another",
      CLAIM.replace("[ReadWriteOnce]", "[ReadWriteOncePod, ReadWriteOnce]"),
      "stands alone",
    ],
    ["no size", CLAIM.replace(/ {2}resources:[\s\S]*/, ""), "spec.resources: is missing"],
    ["size 0", CLAIM.replace("1Gi", "0"), "spec.resources.requests.storage: must be more than 0"],
    ["a negative size", CLAIM.replace("1Gi", "-1Gi"), 'spec.resources.requests.storage: "-1Gi" is not a size'],
    ["an upper-case name", CLAIM.replace("name: data", "name: Data"), "metadata.name: a name holds lower case"],
    ["a name with a path", CLAIM.replace("name: data", "name: ../data"), "metadata.name: a name holds lower case"],
    ["a name of 254 characters", CLAIM.replace("name: data", `name: ${"a".repeat(254)}`), "at most 253"],
    ["no name", CLAIM.replace("name: data", "labels: {}"), "metadata.name: is missing"],
    [
      "a name that YAML reads as a number",
      CLAIM.replace("name: data", "name: 5"),
      'must be a name; write it in quotes: "5"',
    ],
    [
      "generateName",
      CLAIM.replace("name: data", "generateName: data-"),
      "metadata.generateName: apply needs a fixed name",
    ],
    [
      "a namespace with a path",
      CLAIM.replace("name: data", "name: data\n  namespace: ../x"),
      "metadata.namespace: must hold",
    ],
    [
      "a label's value that is none",
      CLAIM.replace("name: data", "name: data\n  labels: {a: 'x y'}"),
      "metadata.labels.a: a label's value",
    ],
    [
      "a class in a namespace",
      CLASS.replace("name: fast", "name: fast, namespace: shop"),
      "a StorageClass is in no namespace",
    ],
    [
      "a source of another kind",
      `${CLAIM}  dataSource: {kind: Secret, name: s}\n`,
      'spec.dataSource.kind: "Secret" cannot be',
    ],
    [
      "a snapshot source without its group",
      `${CLAIM}  dataSource: {kind: VolumeSnapshot, name: s}\n`,
      "spec.dataSource.apiGroup: a VolumeSnapshot has apiGroup snapshot.storage.k8s.io",
    ],
    [
      "a claim source with a group",
      `${CLAIM}  dataSource: {kind: PersistentVolumeClaim, apiGroup: v1, name: s}\n`,
      "has no apiGroup",
    ],
    [
      "a source in another namespace",
      `${CLAIM}  dataSourceRef: {kind: PersistentVolumeClaim, name: s, namespace: b}\n`,
      "another namespace is not supported",
    ],
    [
      "two different sources",
      `${CLAIM}  dataSource: {kind: PersistentVolumeClaim, name: a}\n  dataSourceRef: {kind: PersistentVolumeClaim, name: b}\n`,
      "must be the same as dataSource",
    ],
    [
      "an unknown kind",
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}",
      '"Deployment" is not a kind that granary keeps',
    ],
    ["no kind", "{apiVersion: v1}", "kind: must be one of StorageClass"],
    [
      "what only the provisioner makes",
      "{apiVersion: storage.k8s.io/v1, kind: VolumeAttachment}",
      "is not a kind that granary keeps",
    ],
    ["another version", CLAIM.replace("apiVersion: v1", "apiVersion: v2"), "apiVersion: must be v1"],
    ["a scalar", "hello", "must be an object"],
    ["a snapshot of nothing", snapshot("{}"), "spec.source.persistentVolumeClaimName: is missing"],
    [
      "a snapshot of a content",
      snapshot("{volumeSnapshotContentName: b}"),
      "spec.source: volumeSnapshotContentName: a snapshot that exists already cannot be imported; use persistentVolumeClaimName",
    ],
    [
      "a mount of no volume",
      POD.replace("{name: data, mountPath: /var/lib", "{name: dato, mountPath: /var/lib"),
      'spec.containers[0].volumeMounts[0].name: the pod has no volume "dato"; did you mean "data"?',
    ],
    ["a subPath that leaves", POD.replace("a/b", "a/../../b"), "subPath: must be a relative path without '..'"],
    ["an absolute subPath", POD.replace("a/b", "/etc"), "subPath: must be a relative path"],
    ["a relative mountPath", POD.replace("mountPath: /d,", "mountPath: d,"), "mountPath: must be an absolute path"],
    ["subPathExpr", POD.replace("subPath: a/b", "subPathExpr: $(A)"), "subPathExpr: needs a running container"],
    [
      "a volume with two sources",
      POD.replace("emptyDir: {medium: Memory}", "emptyDir: {}\n      configMap: {name: c}"),
      "spec.volumes[4]: has 2 sources",
    ],
    [
      "a misspelt source",
      POD.replace("emptyDir: {medium", "emptydir: {medium"),
      'unknown field "emptydir"; did you mean "emptyDir"?',
    ],
    [
      "a misspelt claim",
      POD.replace("{claimName: data}", "{claimname: data}"),
      'unknown field "claimname"; did you mean "claimName"?',
    ],
    ["two volumes of one name", POD.replace("name: raw\n", "name: data\n"), "a second volume data"],
    [
      "a volume as filesystem and as device",
      POD.replace("{name: raw, devicePath", "{name: data, devicePath"),
      "either a filesystem or a device",
    ],
    ["no container", POD.replace(/ {2}containers:[\s\S]*/, "  containers: []\n"), "at least one container"],
    ["a negative fsGroup", POD.replace("999", "-1"), "spec.securityContext.fsGroup: must not be negative"],
    ["a List of nonsense", "{apiVersion: v1, kind: List, items: 5}", "items: must be a list"],
  ])("%s: an error that names place and field", (_what, text, message) => {
    expect(() => parse(text)).toThrow(StorageError);
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(/f\.yaml, document \d+ \(line \d+\)/);
  });

  it("faults in several documents: all are told, with file, document and line", () => {
    const text = `${CLAIM}---\n${CLAIM.replace("data", "Data")}---\n${CLAIM.replace("1Gi", "much")}`;
    expect(() => parse(text)).toThrow(/document 2 \(line 11\).*\n.*document 3 \(line 21\)/);
  });

  it("any value anywhere: objects or a StorageError, never another failure", () => {
    fc.assert(
      fc.property(
        fc.object({ maxDepth: 4 }),
        fc.constantFrom("PersistentVolumeClaim", "Pod", "StorageClass"),
        (value, kind) => {
          const document = {
            apiVersion: kind === "StorageClass" ? "storage.k8s.io/v1" : "v1",
            kind,
            metadata: { name: "a" },
            spec: value,
          };
          try {
            parse(JSON.stringify(document));
          } catch (error) {
            if (!(error instanceof StorageError)) throw error;
          }
        },
      ),
    );
  });
});

describe("parseManifestText", () => {
  it.each([
    ["a duplicate key", "a: 1\na: 2\n", "Map keys must be unique"],
    ["a syntax error", "a: [1\n", "f.yaml, document 1"],
    [
      "an alias bomb",
      `a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [${"*a,".repeat(10)}*a]\nc: &c [${"*b,".repeat(10)}*b]\nd: [${"*c,".repeat(10)}*c]`,
      "too many aliases",
    ],
    ["an unknown alias", "a: *nothing\n", "f.yaml"],
    ["120 levels", `${"[".repeat(120)}${"]".repeat(120)}`, "nested more than 100 levels"],
    ["20,000 levels", `${"[".repeat(20_000)}${"]".repeat(20_000)}`, "f.yaml"],
    ["__proto__", "metadata: {__proto__: {a: 1}}\n", "cannot be named __proto__"],
  ])("%s: refused", (_what, text, message) => {
    expect(() => parseManifestText("f.yaml", text)).toThrow(StorageError);
    expect(() => parseManifestText("f.yaml", text)).toThrow(message);
  });

  it("documents with comments and empty ones between: each with its number and line", () => {
    const found = parseManifestText("f.yaml", "# first\n---\na: 1\n---\n---\n# second\nb: 2\n");
    expect(found.map(({ place }) => [place.document, place.line])).toEqual([
      [1, 3],
      [3, 7],
    ]);
  });
});
