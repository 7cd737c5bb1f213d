import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { type ClusterEnv, clusterEnv } from "./cluster-env.js";
import { removeImages, removeSubvolumes } from "./cluster-leftovers.js";

/** The cluster's name in the configs of test servers, and in their StorageClass parameters. */
export const CLUSTER = "main";

/** A place of one's own on the shared cluster: an RBD namespace and a CephFS subvolume group. */
export interface Place {
  env: ClusterEnv;
  /** The name of the namespace and of the group. */
  name: string;
  /** `pool/namespace`, as rbd takes it. */
  spec: string;
  /** The admin's tools. @throws Error with what they said */
  ceph(...args: string[]): string;
  rbd(...args: string[]): string;
  rados(...args: string[]): string;
  /** Writes a server's config that names the cluster and this place. */
  writeConfig(path: string): void;
  /** The images, snapshots, subvolumes, and the place itself. Those that use them must have ended. */
  remove(): void;
}

/** Runs a tool as client.admin. @throws Error with what it said when it fails, or takes two minutes */
export function adminTool(env: ClusterEnv, program: string, args: readonly string[]): string {
  const result = spawnSync(program, args, {
    encoding: "utf8",
    timeout: 120_000,
    maxBuffer: 64 * 1024 ** 2,
    env: { ...process.env, CEPH_CONF: env.conf, LC_ALL: "C" },
  });
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.error ?? ""}${result.stderr}`);
  return result.stdout;
}

const USER = "granary-servers";

/** The user of test servers, with what README asks for and no more. Answers its key. */
function testUser(env: ClusterEnv): string {
  const { filesystem } = env.fs;
  const caps = [
    ...["mon", 'profile rbd, allow r, allow command "osd blocklist"'],
    ...["mgr", "allow rw"],
    ...[
      "osd",
      `profile rbd pool=${env.rbd.pool}, allow rwx tag cephfs metadata=${filesystem}, allow rw tag cephfs data=${filesystem}`,
    ],
    ...["mds", "allow *"],
  ];
  const made = adminTool(env, "ceph", ["auth", "get-or-create", `client.${USER}`, ...caps, "--format", "json"]);
  const [entry] = JSON.parse(made) as { key: string }[];
  if (entry === undefined) throw new Error("ceph auth get-or-create answered no key");
  return entry.key;
}

/** The `clusters` key of a server's config. */
function clustersConfig(env: ClusterEnv, name: string, key: string): object {
  return {
    [CLUSTER]: {
      ...{ monitors: env.monitors, user: USER, key },
      ...{ pools: [env.rbd.pool], namespace: name },
      ...{ filesystem: env.fs.filesystem, subvolumeGroup: name },
    },
  };
}

/** A new place, or the one of this name. */
export function makePlace(name = `t${randomBytes(4).toString("hex")}`, env = clusterEnv()): Place {
  const spec = `${env.rbd.pool}/${name}`;
  const ceph = (...args: string[]) => adminTool(env, "ceph", args);
  const rbd = (...args: string[]) => adminTool(env, "rbd", args);
  const rados = (...args: string[]) => adminTool(env, "rados", args);
  const key = testUser(env);
  const there = JSON.parse(rbd("namespace", "ls", "--format", "json", env.rbd.pool)) as { name: string }[];
  if (!there.some((one) => one.name === name)) rbd("namespace", "create", spec);
  ceph("fs", "subvolumegroup", "create", env.fs.filesystem, name);
  const place: Place = {
    ...{ env, name, spec, ceph, rbd, rados },
    writeConfig: (path) =>
      writeFileSync(path, stringify({ clusters: clustersConfig(env, name, key) }), { mode: 0o600 }),
    remove() {
      removeImages(place);
      removeSubvolumes(place);
    },
  };
  return place;
}
