import { defineConfig } from "vitest/config";

/** Tests over several hosts, which are virtual machines, and a Ceph cluster. test/ci/hosts.sh says what they are given. */
export default defineConfig({
  test: {
    include: ["test/hosts/**/*.test.ts"],
    fileParallelism: false,
    // Machines in software emulation are slow: deadlines only end what hangs.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    allowOnly: false,
    passWithNoTests: true,
  },
});
