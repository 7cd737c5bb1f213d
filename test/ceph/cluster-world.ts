import { join } from "node:path";
import {
  makeSandbox,
  removeSandbox,
  type Sandbox,
  type StartOptions,
  startServer,
  type TestServer,
} from "../root/server-harness.js";
import { CLUSTER, makePlace, type Place } from "./place.js";

/** Real servers of one test file, on a place of its own on the shared cluster. */
export interface ClusterWorld {
  place: Place;
  /** A sandbox without a pool's file system: the local engine is there, and not what is tested. */
  sandbox: Sandbox;
  /** StorageClass parameters that choose RBD, and CephFS. */
  rbdClass: Readonly<Record<string, string>>;
  cephfsClass: Readonly<Record<string, string>>;
  /** A second host's or controller's folder: a server in it shares nothing but the cluster with the others. */
  anotherSandbox(): Sandbox;
  /** A real `granary` whose config names the cluster; `in`: another sandbox than the first. */
  start(options?: StartOptions & { in?: Sandbox }): Promise<TestServer>;
  /** Ends the servers that still run, and takes away all that they and the tests made, here and on the cluster. */
  remove(): Promise<void>;
}

export function makeClusterWorld(): ClusterWorld {
  const place = makePlace();
  const sandboxes = [makeSandbox(0)];
  const servers: TestServer[] = [];
  return {
    place,
    sandbox: sandboxes[0] as Sandbox,
    rbdClass: { cluster: CLUSTER },
    cephfsClass: { cluster: CLUSTER, kind: "shared" },
    anotherSandbox() {
      const sandbox = makeSandbox(0);
      sandboxes.push(sandbox);
      return sandbox;
    },
    async start({ in: sandbox = sandboxes[0] as Sandbox, flags = [], ...options } = {}) {
      const config = join(sandbox.dir, "config.yaml");
      place.writeConfig(config);
      const metrics = ["--metrics-address", "127.0.0.1:0"];
      const server = await startServer(sandbox, { ...options, flags: ["--config", config, ...metrics, ...flags] });
      servers.push(server);
      return server;
    },
    async remove() {
      await Promise.all(servers.map((server) => server.stop()));
      for (const sandbox of sandboxes) removeSandbox(sandbox);
      place.remove();
    },
  };
}
