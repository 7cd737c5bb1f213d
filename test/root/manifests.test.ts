import { mkdirSync, readFileSync, statfsSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claim, claimVolume, makeWorld, pod, storageClass, type World } from "./manifests-world.js";
import { mountsUnder } from "./server-harness.js";

let world: World;

beforeAll(async () => {
  world = await makeWorld();
  await world.apply(
    storageClass("plain") +
      storageClass("late", ["volumeBindingMode: WaitForFirstConsumer"]) +
      storageClass("kept", ["reclaimPolicy: Retain"]) +
      storageClass("growing", ["allowVolumeExpansion: true", "parameters: { csi.storage.k8s.io/fstype: xfs }"]) +
      storageClass("wrong", ["parameters: { kynd: block }"]),
  );
}, 60_000);
afterAll(() => world.close());

const bound = (name: string) => world.get("PersistentVolumeClaim", name).spec.volumeName ?? "";
const handle = (name: string) => world.get("PersistentVolume", bound(name)).spec.csi.volumeHandle;
const phase = (name: string) => world.get("PersistentVolumeClaim", name).status.phase;

/** Takes pods and claims away and expects nothing of them to be left. */
async function clear(pods: readonly string[], claims: readonly string[]): Promise<void> {
  const handles = claims.filter((name) => phase(name) === "Bound").map(handle);
  for (const name of pods) await world.remove("Pod", name);
  for (const name of claims) await world.remove("PersistentVolumeClaim", name);
  for (const name of pods) expect(world.find("Pod", name)).toBeUndefined();
  for (const name of claims) expect(world.find("PersistentVolumeClaim", name)).toBeUndefined();
  const left = await world.volumeIds();
  for (const id of handles) expect(left).not.toContain(id);
}

describe("a claim and its pod", () => {
  it("is bound, mounted where kubelet mounts it, and leaves nothing when both are deleted", async () => {
    const result = await world.apply(claim("data") + pod("one", [claimVolume("data")]));
    expect(result).toEqual({ waiting: [], failed: [] });
    const stored = world.get("PersistentVolumeClaim", "data");
    expect(bound("data")).toBe(`pvc-${stored.metadata.uid}`);
    expect(stored.status).toMatchObject({ phase: "Bound", capacity: { storage: "32Mi" }, conditions: [] });
    const volume = world.get("PersistentVolume", bound("data"));
    expect(volume.spec).toMatchObject({
      claimRef: { name: "data", uid: stored.metadata.uid },
      csi: { fsType: "ext4" },
    });
    const { uid } = world.get("Pod", "one").metadata;
    const path = join(world.sandbox.dataDir, `kubelet/pods/${uid}/volumes/kubernetes.io~csi/${bound("data")}/mount`);
    expect(world.path("one", "data")).toBe(path);
    expect(mountsUnder(world.sandbox.dir)).toContain(path);
    writeFileSync(join(path, "file"), "kept");
    expect(world.get("Pod", "one").status).toMatchObject({
      phase: "Running",
      mounts: [{ container: "main", mountPath: "/data", hostPath: path, readOnly: false }],
    });
    await world.remove("Pod", "one");
    expect(world.store.list("VolumeAttachment")).toEqual([]);
    await world.apply(pod("two", [claimVolume("data")]));
    expect(readFileSync(join(world.path("two", "data"), "file"), "utf8")).toBe("kept");
    await clear(["two"], ["data"]);
    expect(world.store.list("PersistentVolume")).toEqual([]);
    expect(world.kubeletFiles().filter((file) => /mount$|pods\/./.test(file))).toEqual([]);
  });

  it("a claim in use is not deleted until its pod is, and says which pod holds it", async () => {
    await world.apply(claim("held") + pod("holder", [claimVolume("held")]));
    const result = await world.remove("PersistentVolumeClaim", "held");
    expect(result.waiting).toMatchObject([
      { reason: "ClaimInUse", message: expect.stringContaining("default/holder") },
    ]);
    expect(phase("held")).toBe("Bound");
    await world.remove("Pod", "holder");
    expect(world.find("PersistentVolumeClaim", "held")).toBeUndefined();
  });

  it("ReadWriteOncePod: a second pod waits, and is told of the first", async () => {
    await world.apply(claim("alone", { accessModes: ["ReadWriteOncePod"] }) + pod("first", [claimVolume("alone")]));
    await world.apply(pod("second", [claimVolume("alone")]));
    expect(world.get("Pod", "second").status.phase).toBe("Pending");
    expect(world.events(world.get("Pod", "second")).join()).toContain("in use by pod default/first");
    await world.remove("Pod", "first");
    expect(world.get("Pod", "second").status.phase).toBe("Running");
    await clear(["second"], ["alone"]);
  });

  it("two pods of a shared claim see each other's files; one of them read-only cannot write", async () => {
    const shared = claim("shared", { accessModes: ["ReadWriteMany"] });
    await world.apply(shared + pod("left", [claimVolume("shared")]) + pod("right", [claimVolume("shared", true)]));
    writeFileSync(join(world.path("left", "data"), "hello"), "from the left");
    expect(readFileSync(join(world.path("right", "data"), "hello"), "utf8")).toBe("from the left");
    expect(() => writeFileSync(join(world.path("right", "data"), "no"), "")).toThrow(/EROFS/);
    expect(world.get("Pod", "right").status.mounts[0]?.readOnly).toBe(true);
    await clear(["left", "right"], ["shared"]);
  });

  it("a raw block claim is a device of the claim's size", async () => {
    const devices = [{ name: "main", image: "x", volumeDevices: [{ name: "data", devicePath: "/dev/raw" }] }];
    await world.apply(
      claim("raw", { volumeMode: "Block" }) + pod("rawpod", [claimVolume("raw")], { containers: devices }),
    );
    const [device] = world.get("Pod", "rawpod").status.devices;
    expect(device).toMatchObject({ container: "main", devicePath: "/dev/raw" });
    expect(statSync(device?.hostPath ?? "").isBlockDevice()).toBe(true);
    expect(device?.hostPath).toBe(
      join(
        world.sandbox.dataDir,
        "kubelet/plugins/kubernetes.io/csi/volumeDevices/publish",
        bound("raw"),
        world.get("Pod", "rawpod").metadata.uid,
      ),
    );
    await clear(["rawpod"], ["raw"]);
  });

  it("fsGroup owns the volume's root", async () => {
    await world.apply(
      claim("grouped") + pod("grouper", [claimVolume("grouped")], { securityContext: { fsGroup: 4711 } }),
    );
    expect(statSync(world.path("grouper", "data")).gid).toBe(4711);
    await clear(["grouper"], ["grouped"]);
  });

  it("subPath is made inside the volume, and a symlink that leads out is refused", async () => {
    const mounts = (subPath: string) => ({
      containers: [{ name: "main", image: "x", volumeMounts: [{ name: "data", mountPath: "/d", subPath }] }],
    });
    await world.apply(claim("paths") + pod("good", [claimVolume("paths")], mounts("a/b")));
    const root = world.path("good", "data");
    expect(world.get("Pod", "good").status.mounts[0]?.hostPath).toBe(join(root, "a/b"));
    expect(statSync(join(root, "a/b")).isDirectory()).toBe(true);
    mkdirSync(join(world.sandbox.dir, "outside"));
    symlinkSync(join(world.sandbox.dir, "outside"), join(root, "escape"));
    const result = await world.apply(pod("evil", [claimVolume("paths")], mounts("escape/made")));
    expect(result.failed).toMatchObject([{ reason: "FailedSubPath", message: expect.stringContaining("symlink") }]);
    expect(world.get("Pod", "evil").status).toMatchObject({ phase: "Pending", mounts: [] });
    expect(() => statSync(join(world.sandbox.dir, "outside/made"))).toThrow(/ENOENT/);
    await clear(["good", "evil"], ["paths"]);
  });
});

describe("binding", () => {
  it("WaitForFirstConsumer: provisioned once a pod uses the claim", async () => {
    const before = await world.volumeIds();
    const result = await world.apply(claim("later", { storageClassName: "late" }));
    expect(result.waiting).toMatchObject([{ reason: "WaitForFirstConsumer" }]);
    expect(await world.volumeIds()).toEqual(before);
    await world.apply(pod("consumer", [claimVolume("later")]));
    expect(world.get("Pod", "consumer").status.phase).toBe("Running");
    await clear(["consumer"], ["later"]);
  });

  it("no class named: waits without a default class, then takes the default", async () => {
    const nameless = claim("nameless", { storageClassName: undefined });
    expect((await world.apply(nameless)).waiting).toMatchObject([{ reason: "FailedBinding" }]);
    await world.apply(
      storageClass("standard").replace(
        "name: standard",
        'name: standard, annotations: { storageclass.kubernetes.io/is-default-class: "true" }',
      ),
    );
    expect(world.get("PersistentVolume", bound("nameless")).spec.storageClassName).toBe("standard");
    await clear([], ["nameless"]);
    await world.remove("StorageClass", "standard");
  });

  it("Retain keeps the volume, released; a static volume of it gives the data back", async () => {
    await world.apply(claim("retained", { storageClassName: "kept" }) + pod("writer", [claimVolume("retained")]));
    writeFileSync(join(world.path("writer", "data"), "precious"), "1");
    const volumeHandle = handle("retained");
    const name = bound("retained");
    await world.remove("Pod", "writer");
    await world.remove("PersistentVolumeClaim", "retained");
    expect(world.get("PersistentVolume", name).status.phase).toBe("Released");
    await world.remove("PersistentVolume", name);
    expect(world.find("PersistentVolume", name)).toBeUndefined();
    expect(await world.volumeIds()).toContain(volumeHandle);
    const csi = { driver: "csi.granary.dev", volumeHandle, fsType: "ext4" };
    const spec = { capacity: { storage: "32Mi" }, accessModes: ["ReadWriteOnce"], storageClassName: "", csi };
    const manual = { apiVersion: "v1", kind: "PersistentVolume", metadata: { name: "manual" }, spec };
    await world.apply(`---\n${JSON.stringify(manual)}`);
    expect(world.get("PersistentVolume", "manual").status.phase).toBe("Available");
    await world.apply(claim("static", { storageClassName: "" }) + pod("reader", [claimVolume("static")]));
    expect(bound("static")).toBe("manual");
    expect(readFileSync(join(world.path("reader", "data"), "precious"), "utf8")).toBe("1");
    await world.remove("Pod", "reader");
    await world.remove("PersistentVolumeClaim", "static");
    expect(world.get("PersistentVolume", "manual").status.phase).toBe("Released");
    await world.remove("PersistentVolume", "manual");
    await world.server.client.call("Controller", "DeleteVolume", { volume_id: volumeHandle });
  });

  it("a wrong class parameter is told in event and condition, and blocks no other claim", async () => {
    const result = await world.apply(claim("bad", { storageClassName: "wrong" }) + claim("zgood"));
    expect(result.failed).toMatchObject([{ reason: "ProvisioningFailed" }]);
    const bad = world.get("PersistentVolumeClaim", "bad");
    const message = expect.stringMatching(/^INVALID_ARGUMENT: .*kynd.*"kind"/);
    expect(bad.status.conditions).toMatchObject([{ type: "Bound", status: "False", message }]);
    expect(world.store.events(bad)).toContainEqual(
      expect.objectContaining({ type: "Warning", reason: "ProvisioningFailed", message }),
    );
    expect(phase("zgood")).toBe("Bound");
    await clear([], ["bad", "zgood"]);
  });

  it("another driver's class is left alone", async () => {
    await world.apply(storageClass("foreign").replace("csi.granary.dev", "other.example.com"));
    const result = await world.apply(claim("theirs", { storageClassName: "foreign" }));
    expect(result.waiting).toMatchObject([{ reason: "ExternalProvisioning" }]);
    await clear([], ["theirs"]);
  });
});

describe("expansion", () => {
  const size = (storage: string) => ({ storageClassName: "growing", resources: { requests: { storage } } });

  it("a mounted xfs volume grows where it is", async () => {
    await world.apply(claim("grow", size("320Mi")) + pod("grower", [claimVolume("grow")]));
    const bytes = () => {
      const stat = statfsSync(world.path("grower", "data"));
      return stat.blocks * stat.bsize;
    };
    const before = bytes();
    expect(await world.apply(claim("grow", size("640Mi")))).toEqual({ waiting: [], failed: [] });
    expect(bytes()).toBeGreaterThan(before * 1.5);
    expect(world.get("PersistentVolumeClaim", "grow").status).toMatchObject({
      capacity: { storage: "640Mi" },
      conditions: [],
    });
    await clear(["grower"], ["grow"]);
  });

  it("an unused volume's filesystem grows with its next stage", async () => {
    await world.apply(claim("idle", size("320Mi")));
    const result = await world.apply(claim("idle", size("640Mi")));
    expect(result.waiting).toMatchObject([{ reason: "FileSystemResizePending" }]);
    expect(world.get("PersistentVolumeClaim", "idle").status.capacity).toEqual({ storage: "320Mi" });
    await world.apply(pod("waker", [claimVolume("idle")]));
    expect(world.get("PersistentVolumeClaim", "idle").status.capacity).toEqual({ storage: "640Mi" });
    await clear(["waker"], ["idle"]);
  });

  it("a class that does not allow it: refused, with the reason", async () => {
    await world.apply(claim("fixed"));
    const result = await world.apply(claim("fixed", { resources: { requests: { storage: "64Mi" } } }));
    expect(result.failed).toMatchObject([{ message: expect.stringContaining("allowVolumeExpansion") }]);
    expect(world.get("PersistentVolumeClaim", "fixed").status).toMatchObject({
      capacity: { storage: "32Mi" },
      conditions: [{ type: "ControllerResizeError", status: "True" }],
    });
    await clear([], ["fixed"]);
  });
});
