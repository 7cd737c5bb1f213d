import { closeSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { granary, mountsUnder, type TestServer } from "../root/server-harness.js";
import { type ClusterWorld, makeClusterWorld } from "./cluster-world.js";

const CLAIMS = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: { name: disk }
provisioner: csi.granary.dev
parameters: { cluster: main, kind: block }
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: { name: shared }
provisioner: csi.granary.dev
parameters: { cluster: main, kind: shared }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: own }
spec: { storageClassName: disk, accessModes: [ReadWriteOnce], resources: { requests: { storage: 256Mi } } }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: common }
spec: { storageClassName: shared, accessModes: [ReadWriteMany], resources: { requests: { storage: 256Mi } } }
---
apiVersion: v1
kind: Pod
metadata: { name: reader }
spec:
  containers: [{ name: c, image: x, volumeMounts: [{ name: own, mountPath: /own }, { name: common, mountPath: /common }] }]
  volumes:
    - { name: own, persistentVolumeClaim: { claimName: own } }
    - { name: common, persistentVolumeClaim: { claimName: common } }
`;

let world: ClusterWorld;
let server: TestServer;
let claims: string;

const cli = (...args: string[]) => granary([...args, "--data-dir", world.sandbox.dataDir]);
const podMounts = () => mountsUnder(world.sandbox.dir).filter((path) => path.includes("/pods/"));

function writeDurably(path: string, text: string): void {
  const file = openSync(path, "a");
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
}

beforeAll(async () => {
  world = makeClusterWorld();
  claims = join(world.sandbox.dir, "claims.yaml");
  writeFileSync(claims, CLAIMS);
  server = await world.start();
});
afterAll(() => world?.remove());

describe("claims on Ceph, without Kubernetes", () => {
  it("granary apply: a pod gets its own disk of RBD and a shared one of CephFS, written and read", () => {
    const applied = cli("apply", "-f", claims);
    expect(applied.code, applied.stderr + applied.stdout).toBe(0);
    expect(podMounts()).toHaveLength(2);
    for (const path of podMounts()) writeDurably(join(path, "log"), "before\n");
  });

  it("doctor: the cluster, by what this host attaches and mounts, and no problem", () => {
    const config = join(world.sandbox.dir, "config.yaml");
    const { code, stdout } = cli("doctor", "--config", config);
    expect(stdout).toMatch(/^cluster main: HEALTH_(OK|WARN)/m);
    expect(stdout).toMatch(/^block volumes of Ceph: attached by (krbd|rbd-nbd|qemu-storage-daemon)/m);
    expect(stdout).toMatch(/^shared volumes of Ceph: mounted by (the kernel|ceph-fuse)/m);
    expect(stdout).toContain("no problem found");
    expect(code).toBe(0);
  });

  it("SIGKILL of granary: the pod goes on reading and writing; the next start finds all as it is", async () => {
    await server.kill();
    for (const path of podMounts()) writeDurably(join(path, "log"), "without granary\n");
    server = await world.start();
    for (const path of podMounts()) expect(readFileSync(join(path, "log"), "utf8")).toBe("before\nwithout granary\n");
    expect(cli("apply", "-f", claims).code).toBe(0);
  });

  it("granary delete: no mount, no image that is listed, no subvolume is left", async () => {
    const deleted = cli("delete", "-f", claims);
    expect(deleted.code, deleted.stderr + deleted.stdout).toBe(0);
    expect(podMounts()).toEqual([]);
    expect(await server.client.call("Controller", "ListVolumes", {})).toMatchObject({ entries: [] });
    expect(world.place.rbd("ls", world.place.spec)).not.toContain("granary-v-");
  });
});
