import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { parse } from "yaml";
import { parseClusters } from "../../src/config/clusters.js";
import type { DeviceAttacher, NodeRef } from "../../src/engines/attacher.js";
import { CephCluster } from "../../src/engines/ceph/cluster.js";
import { type RbdAttacherOptions, rbdAttacher } from "../../src/engines/ceph/rbd-node/index.js";
import type { MapperKind } from "../../src/engines/ceph/rbd-node/mapper.js";
import type { Context } from "../../src/engines/types.js";
import { makeId } from "../../src/model/volume-id.js";
import { exec } from "../../src/os/exec.js";
import { removeSandbox } from "../root/server-harness.js";
import { CLUSTER, makePlace, type Place } from "./place.js";

export const NODE_ID = "host-1";
export const MIB = 1024 ** 2;

/** An attacher of its own state folder on a place of the cluster's, and images in it that `rbd create` made. */
export interface AttacherWorld {
  place: Place;
  dir: string;
  stateDir: string;
  cluster: CephCluster;
  attacher: DeviceAttacher;
  /** Another one, as after a restart of the node plugin: on the same folder. */
  again(options?: Partial<RbdAttacherOptions>): DeviceAttacher;
  image(name: string, sizeMib?: number, ...more: string[]): NodeRef;
  spec(ref: NodeRef): string;
  remove(): Promise<void>;
}

export const context = (ms = 60_000): Context => ({
  signal: AbortSignal.timeout(ms),
  requestId: "test",
  log: pino({ level: "silent" }),
});

export function sh(program: string, ...args: string[]): string {
  const result = spawnSync(program, args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.error ?? ""}${result.stderr}`);
  return result.stdout;
}

export const fails = (program: string, ...args: string[]): boolean => spawnSync(program, args).status !== 0;

/** GRANARY_TEST_RBD_MAPPER: a mapper that is not the host's best one. */
const wantedMapper = process.env.GRANARY_TEST_RBD_MAPPER as MapperKind | undefined;

export function makeAttacherWorld(mapper = wantedMapper): AttacherWorld {
  const place = makePlace();
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "granary-test-")));
  const stateDir = join(dir, "rbd");
  const config = join(dir, "config.yaml");
  place.writeConfig(config);
  const [parsed] = parseClusters((parse(readFileSync(config, "utf8")) as { clusters: unknown }).clusters);
  if (!parsed) throw new Error("the config names no cluster");
  const cluster = new CephCluster(parsed, exec, dir);
  const pools = JSON.parse(place.ceph("osd", "pool", "ls", "detail", "--format", "json")) as {
    pool_name: string;
    pool_id: number;
  }[];
  const poolId = pools.find(({ pool_name }) => pool_name === place.env.rbd.pool)?.pool_id;
  const options: RbdAttacherOptions = {
    ...{ exec, nodeId: NODE_ID, stateDir, cluster: (name: string) => (name === CLUSTER ? cluster : undefined) },
    ...(mapper ? { mapper } : {}),
  };
  const specOf = (ref: NodeRef) => `${place.spec}/${ref.publishContext.image}`;
  return {
    ...{ place, dir, stateDir, cluster, spec: specOf },
    attacher: rbdAttacher(options),
    again: (changed = {}) => rbdAttacher({ ...options, ...changed }),
    image(name, sizeMib = 64, ...more) {
      const hash = createHash("sha256").update(name).digest("hex").slice(0, 24);
      const image = `granary-v-${hash}`;
      place.rbd("create", "--size", `${sizeMib}M`, ...more, `${place.spec}/${image}`);
      const { id } = JSON.parse(place.rbd("info", "--format", "json", `${place.spec}/${image}`)) as { id: string };
      const at = `${CLUSTER}.${poolId}.${createHash("sha256").update(place.name).digest("hex").slice(0, 8)}`;
      return {
        volumeId: makeId("r", "v", at, hash, id),
        publishContext: {
          ...{ cluster: CLUSTER, monitors: place.env.monitors, pool: place.env.rbd.pool, namespace: place.name },
          ...{ image, imageId: id, sizeBytes: String(sizeMib * MIB), readonly: "false" },
        },
      };
    },
    async remove() {
      for (const folder of mountsBelow(dir)) spawnSync("umount", [folder]);
      // No record names a volume any more: all of its devices are left ones.
      await rbdAttacher(options).heal?.(context(), []);
      await cluster.close();
      place.remove();
      removeSandbox({ dir, dataDir: dir, poolDir: dir });
    },
  };
}

export const mountsBelow = (dir: string): string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${dir}/mnt-`));

/** Mounts the device on a new folder of the world's. */
export function mounted(world: AttacherWorld, device: string, ...options: string[]): string {
  const path = join(world.dir, `mnt-${randomBytes(4).toString("hex")}`);
  mkdirSync(path);
  sh("mount", ...options, device, path);
  return path;
}
