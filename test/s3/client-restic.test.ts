import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientProgram } from "./clients.mjs";
import { PROTOCOLS, type S3Server, startS3 } from "./harness.js";
import { makeLargeFile, makeOddTree, sha256, sha256File, treeOf, writeTreeFile } from "./odd-tree.js";
import { awsEnvironment, client, runClient, scratch } from "./run-client.js";

describe.each(PROTOCOLS)("restic over $protocol", ({ https }) => {
  let server: S3Server;
  let source = "";
  const options = (password = "a password of the backup's own") => ({
    env: {
      ...awsEnvironment(server),
      RESTIC_REPOSITORY: `s3:${server.endpoint}/backups/host`,
      RESTIC_PASSWORD: password,
      RESTIC_CACHE_DIR: join(server.dir, "cache"),
      RESTIC_PROGRESS_FPS: "0",
    },
  });
  const restic = (...args: string[]) =>
    client(
      clientProgram("restic"),
      [...(server.caFile === undefined ? [] : ["--cacert", server.caFile]), ...args],
      options(),
    );
  const snapshots = async () => JSON.parse(await restic("snapshots", "--json")) as { id: string }[];
  const restored = async (id: string) => {
    const to = scratch(server, "restored");
    await restic("restore", id, "--target", to);
    return treeOf(join(to, source));
  };
  beforeAll(async () => {
    server = await startS3({ https });
    source = scratch(server, "source");
    makeOddTree(source);
    await restic("init");
  });
  afterAll(() => server?.remove());

  it("two backups, checked to the last byte, each restored as it was", async () => {
    const monday = treeOf(source);
    await restic("backup", source);
    writeTreeFile(source, "plain.txt", "changed");
    rmSync(join(source, "a"), { recursive: true });
    makeLargeFile(join(source, "large"), 40 * 1024 ** 2);
    const tuesday = treeOf(source);
    await restic("backup", source);
    await restic("check", "--read-data");
    const [first, second] = await snapshots();
    expect(await restored(first?.id ?? "")).toEqual(monday);
    expect(await restored(second?.id ?? "")).toEqual(tuesday);
    expect(tuesday).not.toEqual(monday);
    expect(tuesday["plain.txt"]).toBe(sha256("changed"));
    expect(await sha256File(join(source, "large"))).toBe(tuesday.large);
  }, 120_000);

  it("forget --prune gives the space back, and what is kept is whole", async () => {
    const bytes = async () =>
      (JSON.parse(await restic("stats", "--mode", "raw-data", "--json")) as { total_size: number }).total_size;
    rmSync(join(source, "large"));
    await restic("backup", source);
    const before = await bytes();
    await restic("forget", "--keep-last", "1", "--prune", "--max-unused", "0");
    expect(await bytes()).toBeLessThan(before - 30 * 1024 ** 2);
    await restic("check", "--read-data");
    const [only, ...more] = await snapshots();
    expect(more).toEqual([]);
    expect(await restored(only?.id ?? "")).toEqual(treeOf(source));
  }, 120_000);

  it("locks: none is left, and a wrong password opens nothing", async () => {
    expect(await restic("list", "locks", "--no-lock")).toBe("");
    const args = [...(server.caFile === undefined ? [] : ["--cacert", server.caFile]), "snapshots"];
    const wrong = await runClient(clientProgram("restic"), args, options("wrong"));
    expect([wrong.code === 0, wrong.stderr]).toEqual([false, expect.stringContaining("wrong password")]);
  }, 120_000);
});
