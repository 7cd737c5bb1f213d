import type { Command } from "commander";
import type { Role } from "./serve.js";

/** A command of `granary`, whose module is loaded when it is the one that was asked for. */
export interface CommandEntry {
  readonly name: string;
  /** What `granary --help` says of it: the same as its module's, which is not loaded for that. */
  readonly description: string;
  readonly hidden?: boolean;
  load(version: string): Promise<Command>;
}

const serve = async (role: Role, version: string) => (await import("./serve.js")).serveCommand(role, version);

/** In the order of the help. Loading all of them takes longer than most of them do. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "up",
    description: "run everything on this host: CSI controller and node, and the S3 gateway",
    load: (version) => serve("up", version),
  },
  {
    name: "controller",
    description: "run the CSI controller alone",
    load: (version) => serve("controller", version),
  },
  {
    name: "node",
    description: "run the CSI node alone, on the controller's host",
    load: (version) => serve("node", version),
  },
  {
    name: "objectstore",
    description: "run the S3 gateway on the embedded engine, or on an upstream S3 service",
    load: async (version) => (await import("./objectstore.js")).objectstoreCommand(version),
  },
  {
    name: "objectstore-worker",
    description: "",
    hidden: true,
    load: async () => (await import("./objectstore-worker.js")).objectstoreWorkerCommand(),
  },
  {
    name: "pool",
    description: "make the pool that volumes are stored in, or show its space",
    load: async () => (await import("./pool.js")).poolCommand(),
  },
  {
    name: "apply",
    description: "make the volumes, snapshots and mounts that Kubernetes manifests ask for",
    load: async () => (await import("./apply.js")).applyCommand(),
  },
  {
    name: "delete",
    description: "delete objects, and with them their volumes and snapshots as their class's policy says",
    load: async () => (await import("./delete.js")).deleteCommand(),
  },
  {
    name: "get",
    description: "list objects: pvc, pv, sc, vs, vgs, vac, pod ...",
    load: async () => (await import("./get.js")).getCommand(),
  },
  {
    name: "describe",
    description: "tell all about objects, with the conditions and events that explain a wait or a refusal",
    load: async () => (await import("./describe.js")).describeCommand(),
  },
  {
    name: "user",
    description: "make, show and remove users of the object store, their keys and policies",
    load: async () => (await import("./user.js")).userCommand(),
  },
  {
    name: "bucket",
    description: "make, show, change and remove buckets of the object store",
    load: async () => (await import("./bucket.js")).bucketCommand(),
  },
  {
    name: "object",
    description: "look after the objects of the object store",
    load: async () => (await import("./object-scrub.js")).objectCommand(),
  },
  {
    name: "migrate",
    description: "move a volume or a bucket to another engine, under the name that it has",
    load: async () => (await import("./migrate.js")).migrateCommand(),
  },
  {
    name: "fence",
    description: "take the RBD volumes of a node that is gone, and keep it from writing to them ever after",
    load: async () => (await import("./fence.js")).fenceCommand(),
  },
  {
    name: "doctor",
    description:
      "look for orphans and mismatches between registry, pool, loop devices, mounts and objects; changes nothing",
    load: async () => (await import("./doctor.js")).doctorCommand(),
  },
  {
    name: "demo",
    description: "show what granary does: a pool, a server and the manifests of examples/, in a folder of its own",
    load: async () => (await import("./demo.js")).demoCommand(),
  },
];
