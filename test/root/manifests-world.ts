import { randomUUID } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type OpenedObjectStore, openObjectStore } from "../../src/manifests/object-store.js";
import type { AnyObject, Kind, ObjectOf } from "../../src/manifests/objects.js";
import { parseManifestText } from "../../src/manifests/read-manifests.js";
import { type ReconcileResult, reconcile } from "../../src/manifests/reconcile.js";
import { parseAllObjects } from "../../src/manifests/schema.js";
import {
  makeSandbox,
  removeSandbox,
  type Sandbox,
  type StartOptions,
  startServer,
  type TestServer,
} from "./server-harness.js";

/** A real server, its objects on disk, and the reconciler between them. */
export interface World {
  sandbox: Sandbox;
  server: TestServer;
  store: OpenedObjectStore;
  /** Stores the objects of a YAML text, those that are there already with their new spec, and reconciles. */
  apply(yaml: string): Promise<ReconcileResult>;
  /** Asks for an object's deletion, as an API server does, and reconciles. */
  remove(kind: Kind, name: string): Promise<ReconcileResult>;
  reconcile(timeoutMs?: number): Promise<ReconcileResult>;
  get<K extends Kind>(kind: K, name: string): ObjectOf[K];
  find<K extends Kind>(kind: K, name: string): ObjectOf[K] | undefined;
  /** `REASON: message` of each event of an object. */
  events(object: AnyObject): string[];
  /** A pod's path of its volume. */
  path(pod: string, volume: string): string;
  volumeIds(): Promise<string[]>;
  snapshotIds(): Promise<string[]>;
  /** Every file and folder that is left below the kubelet's folder. */
  kubeletFiles(): string[];
  close(): Promise<void>;
}

const NAMESPACED: ReadonlySet<Kind> = new Set([
  "PersistentVolumeClaim",
  "Pod",
  "VolumeSnapshot",
  "VolumeGroupSnapshot",
]);
export const namespaceOf = (kind: Kind) => (NAMESPACED.has(kind) ? "default" : "");

/** Gives a parsed object what an API server gives it, or only its new spec to one that is there. */
export async function storeObject(store: OpenedObjectStore, parsed: AnyObject): Promise<void> {
  const present = store.get(parsed.kind, parsed.metadata.namespace, parsed.metadata.name);
  if (present && "spec" in present && "spec" in parsed) {
    const object = structuredClone(present);
    Object.assign(object.spec, parsed.spec);
    return store.put(object);
  }
  const metadata = {
    ...parsed.metadata,
    uid: present?.metadata.uid ?? randomUUID(),
    creationTimestamp: new Date().toISOString(),
  };
  await store.put({ ...parsed, metadata });
}

export const parseYaml = (yaml: string): AnyObject[] =>
  parseAllObjects(parseManifestText("test.yaml", yaml), "default");

/** `options` gets the sandbox, for what a server needs of it. */
export async function makeWorld(
  poolBytes?: number,
  options: (sandbox: Sandbox) => StartOptions = () => ({}),
): Promise<World> {
  const sandbox = makeSandbox(poolBytes);
  try {
    const server = await startServer(sandbox, options(sandbox));
    const store = await openObjectStore(sandbox.dataDir, { lock: true, timeoutMs: 0 });
    return world(sandbox, server, store);
  } catch (error) {
    removeSandbox(sandbox);
    throw error;
  }
}

function world(sandbox: Sandbox, server: TestServer, store: OpenedObjectStore): World {
  const run = (timeoutMs = 20_000) =>
    reconcile(store, server.client, {
      dataDir: sandbox.dataDir,
      timeoutMs,
      signal: new AbortController().signal,
      progress: () => {},
    });
  const find = <K extends Kind>(kind: K, name: string) => store.get(kind, namespaceOf(kind), name);
  const get = <K extends Kind>(kind: K, name: string) => {
    const object = find(kind, name);
    if (!object) throw new Error(`no ${kind} ${name}`);
    return object;
  };
  return {
    sandbox,
    server,
    store,
    async apply(yaml) {
      for (const object of parseYaml(yaml)) await storeObject(store, object);
      return run();
    },
    async remove(kind, name) {
      const object = structuredClone(get(kind, name)) as AnyObject;
      if (object.metadata.finalizers.length === 0) await store.remove(object);
      else {
        object.metadata.deletionTimestamp = new Date().toISOString();
        await store.put(object);
      }
      return run();
    },
    reconcile: run,
    get,
    find,
    events: (object) => store.events(object).map((event) => `${event.reason}: ${event.message}`),
    path(pod, volume) {
      const found = get("Pod", pod).status.volumes.find((one) => one.name === volume);
      if (!found) throw new Error(`pod ${pod} has no published volume ${volume}`);
      return found.path;
    },
    async volumeIds() {
      const { entries } = await server.client.call("Controller", "ListVolumes", {});
      return entries.map((entry) => entry.volume?.volume_id ?? "");
    },
    async snapshotIds() {
      const { entries } = await server.client.call("Controller", "ListSnapshots", {});
      return entries.map((entry) => entry.snapshot?.snapshot_id ?? "");
    },
    kubeletFiles() {
      const root = join(sandbox.dataDir, "kubelet");
      return existsSync(root) ? readdirSync(root, { recursive: true, encoding: "utf8" }) : [];
    },
    async close() {
      await store.close();
      await server.stop();
      removeSandbox(sandbox);
    },
  };
}

export const storageClass = (name: string, lines: readonly string[] = []) =>
  `
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: { name: ${name} }
provisioner: csi.granary.dev
${lines.join("\n")}
`;

/** A claim's YAML; `spec` adds to it or replaces what it has. */
export const claim = (name: string, spec: Record<string, unknown> = {}, labels: Record<string, string> = {}) =>
  `\n---\n${JSON.stringify({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name, labels },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "32Mi" } },
      storageClassName: "plain",
      ...spec,
    },
  })}\n`;

/** A pod's YAML: one container that mounts each volume at /NAME. */
export const pod = (name: string, volumes: readonly Record<string, unknown>[], more: Record<string, unknown> = {}) =>
  `\n---\n${JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      volumes,
      containers: [
        {
          name: "main",
          image: "example",
          volumeMounts: volumes.map((volume) => ({ name: volume.name, mountPath: `/${String(volume.name)}` })),
        },
      ],
      ...more,
    },
  })}\n`;

export const claimVolume = (claimName: string, readOnly = false) => ({
  name: "data",
  persistentVolumeClaim: { claimName, readOnly },
});
