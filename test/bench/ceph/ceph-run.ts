import { join } from "node:path";
import { CLUSTER, makePlace, type Place } from "../../ceph/place.js";
import { type Calls, callsOf } from "../../root/csi-requests.js";
import { makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "../../root/server-harness.js";
import type { Run } from "../world.js";

export const RBD_CLASS: Readonly<Record<string, string>> = { cluster: CLUSTER };
export const CEPHFS_CLASS: Readonly<Record<string, string>> = { cluster: CLUSTER, kind: "shared" };

/** A real server whose config names the cluster, and a place of its own there. */
export interface CephWorld {
  place: Place;
  sandbox: Sandbox;
  server: TestServer;
  calls: Calls;
}

/** Runs `work` beside a fresh server. Everything is taken away in the end, here and on the cluster. */
export async function withCephWorld<T>(_run: Run, work: (world: CephWorld) => Promise<T>): Promise<T> {
  const place = makePlace();
  const sandbox = makeSandbox(0);
  let server: TestServer | undefined;
  try {
    const config = join(sandbox.dir, "config.yaml");
    place.writeConfig(config);
    server = await startServer(sandbox, { flags: ["--config", config, "--metrics-address", ""] });
    return await work({ place, sandbox, server, calls: callsOf(server.client, sandbox) });
  } finally {
    await server?.stop();
    removeSandbox(sandbox);
    place.remove();
  }
}
