import { CEPHFS_STEPS, RBD_STEPS, type Step } from "../../src/runtime/steps.js";
import { type Choice, mount } from "../root/csi-requests.js";
import { CLUSTER, type Place } from "./place.js";

/** One of the engines on Ceph, as the suites that are the same for both see it. */
export interface CephEngine {
  name: string;
  choice: Required<Choice>;
  /** Of an id that nothing has, in the engine's own shape, by its kind. */
  goneId: (kind: "v" | "s" | "g") => string;
  /** What of the place is still there, by name: nothing when all was deleted, but what the engine's own sweep is to find. */
  stored(place: Place): string[];
  /** Where controllers' locks are, in RADOS: pool, namespace, and what their objects' names begin with. */
  locks(place: Place): { pool: string; namespace: string; prefix: string };
  /**
   * A step of each RPC of crash-scenarios.ts that changes something: one from the middle of its work. The engine's own
   * tests take every one.
   */
  steps: Readonly<Record<string, readonly Step[]>>;
}

const HEX = "0".repeat(24);

const startsWith = <S extends Step>(all: readonly S[], ...prefixes: string[]): S[] =>
  all.filter((step) => prefixes.some((prefix) => step.startsWith(`${prefix}/`)));

export const CEPHFS: CephEngine = {
  name: "CephFS",
  choice: {
    parameters: { cluster: CLUSTER, kind: "shared" },
    capability: mount("MULTI_NODE_MULTI_WRITER", { fs_type: "" }),
  },
  goneId: (kind) => `g1-f-${kind}-${CLUSTER}.1-${HEX}-${"0".repeat(12)}`,
  stored: ({ ceph, env, name }) =>
    (JSON.parse(ceph("fs", "subvolume", "ls", env.fs.filesystem, name, "--format", "json")) as { name: string }[]).map(
      (one) => one.name,
    ),
  locks: ({ env, name }) => ({ pool: env.fs.metadataPool, namespace: `granary.${name}`, prefix: "lock." }),
  steps: {
    CreateVolume: startsWith(CEPHFS_STEPS, "cephfs-create"),
    "CreateVolume from a volume in use": startsWith(CEPHFS_STEPS, "cephfs-copy"),
    DeleteVolume: startsWith(CEPHFS_STEPS, "cephfs-delete"),
    ControllerExpandVolume: startsWith(CEPHFS_STEPS, "cephfs-expand"),
    ControllerPublishVolume: startsWith(CEPHFS_STEPS, "cephfs-publish"),
    ControllerUnpublishVolume: startsWith(CEPHFS_STEPS, "cephfs-unpublish"),
    CreateSnapshot: startsWith(CEPHFS_STEPS, "cephfs-snapshot"),
    DeleteSnapshot: startsWith(CEPHFS_STEPS, "cephfs-delete-snapshot"),
  },
};

export const RBD: CephEngine = {
  name: "RBD",
  choice: { parameters: { cluster: CLUSTER }, capability: mount() },
  goneId: (kind) => `g1-r-${kind}-${CLUSTER}.1-${HEX}-${"0".repeat(12)}`,
  stored: ({ rbd, spec }) => [
    // The registry keeps the nodes: it is of no volume. A deleted volume whose image has a cut that a dead controller left is
    // hidden under granary-x, until the sweep that comes every few minutes.
    ...(JSON.parse(rbd("ls", "--format", "json", spec)) as string[]).filter(
      (name) => name !== "granary-registry" && !name.startsWith("granary-x-"),
    ),
    ...(JSON.parse(rbd("trash", "ls", "--all", "--format", "json", spec)) as { name: string }[]).map(
      ({ name }) => `${name}, in the trash`,
    ),
  ],
  locks: ({ env, name }) => ({ pool: env.rbd.pool, namespace: name, prefix: "granary.lock." }),
  steps: {
    CreateVolume: ["rbd-lock/taken", ...startsWith(RBD_STEPS, "rbd-create").filter((step) => !step.includes("source"))],
    "CreateVolume from a volume in use": startsWith(RBD_STEPS, "rbd-create"),
    // One that has no snapshots is not renamed.
    DeleteVolume: startsWith(RBD_STEPS, "rbd-delete").filter((step) => !step.endsWith("renamed")),
    ControllerExpandVolume: startsWith(RBD_STEPS, "rbd-expand"),
    ControllerPublishVolume: startsWith(RBD_STEPS, "rbd-publish"),
    ControllerUnpublishVolume: ["rbd-unpublish/recorded"],
    CreateSnapshot: startsWith(RBD_STEPS, "rbd-snapshot"),
    DeleteSnapshot: startsWith(RBD_STEPS, "rbd-delete-snapshot"),
    CreateVolumeGroupSnapshot: startsWith(RBD_STEPS, "rbd-group"),
    DeleteVolumeGroupSnapshot: startsWith(RBD_STEPS, "rbd-delete-group"),
  },
};
