import { spawnSync } from "node:child_process";
import { clusterEnv } from "../cluster-env.js";
import { adminTool } from "../place.js";

/** Kills and starts daemons of the cluster that the tests have for themselves (test/ci/ceph.sh). */
export interface Daemons {
  kill(...names: string[]): void;
  start(...names: string[]): void;
  /** Starts all that were killed, and waits until the cluster has all its copies again. */
  heal(): Promise<void>;
}

export function daemonsOfOwnCluster(): Daemons {
  const program = process.env.GRANARY_TEST_CEPH_TOOL;
  if (program === undefined) throw new Error("GRANARY_TEST_CEPH_TOOL: these tests need a cluster of their own");
  const env = clusterEnv();
  const down = new Set<string>();
  const run = (...args: string[]) => {
    const { status, stderr } = spawnSync(program, args, {
      encoding: "utf8",
      env: { ...process.env, CEPH_DEV_DIR: env.dir },
    });
    if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
  };
  const daemons: Daemons = {
    kill(...names) {
      for (const name of names) {
        down.add(name);
        run("kill", name);
      }
    },
    start(...names) {
      for (const name of names) {
        run("start", name);
        down.delete(name);
      }
    },
    async heal() {
      daemons.start(...down);
      for (;;) {
        const status = adminTool(env, "ceph", ["status", "--format", "json"]);
        const { osdmap, pgmap } = JSON.parse(status) as {
          osdmap: { num_osds: number; num_up_osds: number };
          pgmap: { num_pgs: number; pgs_by_state: { state_name: string; count: number }[] };
        };
        const clean = pgmap.pgs_by_state.find((one) => one.state_name === "active+clean")?.count;
        if (osdmap.num_up_osds === osdmap.num_osds && clean === pgmap.num_pgs) return;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    },
  };
  return daemons;
}
