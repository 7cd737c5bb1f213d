import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { parse } from "yaml";
import { type ClusterConfig, parseClusters } from "../../src/config/clusters.js";
import type { FilesystemAttacher, NodeRef } from "../../src/engines/attacher.js";
import { type CephfsVolumeEngine, openCephfsEngine } from "../../src/engines/ceph/cephfs/index.js";
import { type CephfsAttacherOptions, cephfsAttacher } from "../../src/engines/ceph/cephfs-node/index.js";
import { CephCluster } from "../../src/engines/ceph/cluster.js";
import type { Context } from "../../src/engines/types.js";
import type { Publication, VolumeSpec } from "../../src/model/volume.js";
import { type Exec, exec } from "../../src/os/exec.js";
import { removeSandbox } from "../root/server-harness.js";
import { CLUSTER, makePlace, type Place } from "./place.js";

export const MIB = 1024n ** 2n;

/** Engines and attachers on a place of their own on the cluster, directly: without the services above them. */
export interface CephfsWorld {
  place: Place;
  dir: string;
  config: ClusterConfig;
  engine: CephfsVolumeEngine;
  /** Another controller, that shares nothing but the cluster with the first. */
  another(options?: {
    exec?: Exec;
    lockLastsMs?: number;
    config?: Partial<ClusterConfig>;
  }): Promise<CephfsVolumeEngine>;
  /** A node of its own: see `publish`. */
  attacher(options?: Partial<CephfsAttacherOptions>): FilesystemAttacher;
  /** A new empty folder, whose mount goes with the world. */
  folder(): string;
  remove(): Promise<void>;
}

export const context = (ms = 60_000): Context => ({
  signal: AbortSignal.timeout(ms),
  requestId: "test",
  log: pino({ level: "silent" }),
});

export const specOf = (name: string, more: Partial<VolumeSpec> = {}): VolumeSpec => ({
  ...{ name, kind: "shared", capacityBytes: 16n * MIB, fsType: "", mkfsOptions: [], provisioning: "thin" },
  ...{ reclaimSpaceMs: 0, parameters: { cluster: CLUSTER }, mutableParameters: {}, source: null },
  ...more,
});

export const publicationOf = (nodeId: string, more: Partial<Publication> = {}): Publication => ({
  ...{ nodeId, readonly: false, capability: "mount", mode: "MULTI_NODE_MULTI_WRITER" },
  ...more,
});

export function metadataPool({ ceph, env }: Place): string {
  const list = JSON.parse(ceph("fs", "ls", "--format", "json")) as { name: string; metadata_pool: string }[];
  return list.find(({ name }) => name === env.fs.filesystem)?.metadata_pool ?? "";
}

/** What the node is told of a volume that is published to it. */
export async function publish(
  engine: CephfsVolumeEngine,
  volumeId: string,
  publication: Publication,
): Promise<NodeRef> {
  return { volumeId, publishContext: await engine.publish(context(), volumeId, publication) };
}

export async function makeCephfsWorld(): Promise<CephfsWorld> {
  const place = makePlace();
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "granary-test-")));
  const file = join(dir, "config.yaml");
  place.writeConfig(file);
  const [config] = parseClusters((parse(readFileSync(file, "utf8")) as { clusters: unknown }).clusters);
  if (!config) throw new Error("the config names no cluster");
  const cluster = new CephCluster(config, exec, join(dir, "node"));
  const engines: CephfsVolumeEngine[] = [];
  const log = pino({ level: "silent" });
  const another: CephfsWorld["another"] = async ({ exec: run = exec, lockLastsMs, config: changed = {} } = {}) => {
    const stateDir = join(dir, `controller-${engines.length}`);
    const made = await openCephfsEngine({ ...config, ...changed }, run, log, stateDir, lockLastsMs);
    engines.push(made);
    return made;
  };
  const engine = await another();
  return {
    ...{ place, dir, config, engine, another },
    attacher: (options = {}) =>
      cephfsAttacher({
        ...{ exec, stateDir: join(dir, "node"), cluster: (name: string) => (name === CLUSTER ? cluster : undefined) },
        ...options,
      }),
    folder() {
      const path = join(dir, `mnt-${randomBytes(4).toString("hex")}`);
      mkdirSync(path);
      return path;
    },
    async remove() {
      removeSandbox({ dir, dataDir: dir, poolDir: dir });
      await Promise.all(engines.map((one) => one.close()));
      await cluster.close();
      place.remove();
    },
  };
}
