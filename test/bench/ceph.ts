import { benchCephDataPath } from "./ceph/data-path.js";
import { benchCephLifecycle } from "./ceph/lifecycle.js";
import { benchCephObjects } from "./ceph/objects.js";
import { runVolumeBench } from "./volume-bench.js";

await runVolumeBench(
  "ceph",
  "Measures volumes and the gateway on a real Ceph cluster, each beside the same work without Granary, in one run. " +
    "Needs root, fio, and GRANARY_TEST_CEPH_ENV, which names the cluster's env file. A target that is missed is told, " +
    "and is no failure; the exit code is 1 when something went wrong.",
  { "data-path": benchCephDataPath, lifecycle: benchCephLifecycle, objects: benchCephObjects },
);
