import { defineConfig } from "vitest/config";

const tool = process.env.GRANARY_TEST_CEPH_TOOL;
if (tool === undefined) {
  console.log(
    "Left out: test/ceph/failures, which kills daemons of the cluster. bash test/ci/ceph.sh runs it on a cluster of its own.",
  );
}

/** Tests on a real Ceph cluster: its env file is named by GRANARY_TEST_CEPH_ENV (cluster-env.ts). */
export default defineConfig({
  test: {
    include: ["test/ceph/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...(tool === undefined ? ["test/ceph/failures/**"] : [])],
    fileParallelism: false,
    // A cluster on two cores with others' work beside it: deadlines only end what hangs.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    allowOnly: false,
  },
});
