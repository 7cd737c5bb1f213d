import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // They need a Ceph cluster, and virtual machines: npm run test:ceph, npm run test:hosts.
    exclude: ["**/node_modules/**", "test/ceph/**", "test/hosts/**"],
    // Loop devices and mounts are the whole machine's: two files at once would see each other's.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});
