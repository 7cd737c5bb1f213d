import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callsOf, tool } from "./csi-requests.js";
import { granary, makeSandbox, removeSandbox, type Sandbox, startServer } from "./server-harness.js";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = makeSandbox(1024 ** 3);
});
afterEach(() => removeSandbox(sandbox));

const up = (dataDir: string, poolDir: string) =>
  granary(["up", "--data-dir", dataDir, "--pool-dir", poolDir, "--csi-endpoint", `unix://${sandbox.dir}/x.sock`]);
const doctor = () => granary(["doctor", "--data-dir", sandbox.dataDir]);

async function makeVolume(): Promise<string> {
  const server = await startServer(sandbox);
  const { volume_id } = await callsOf(server.client, sandbox).create("kept");
  await server.stop();
  return volume_id;
}

describe("the pool is known again by its marker", () => {
  it("up refuses to start on the empty folder below a pool that is not mounted, and makes nothing there", async () => {
    const id = await makeVolume();
    tool("umount", sandbox.poolDir);
    const { code, stderr } = up(sandbox.dataDir, sandbox.poolDir);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/marker is missing. Is the pool mounted\?/)]);
    expect(readdirSync(sandbox.poolDir)).toEqual([]);
    expect(doctor().stdout).toMatch(/error +pool-not-there/);
    expect(doctor().code).toBe(1);
    const status = granary(["pool", "status", "--data-dir", sandbox.dataDir]);
    expect([status.code, status.stderr]).toEqual([1, expect.stringMatching(/marker is missing/)]);
    tool("mount", "-o", "loop,noatime", join(sandbox.dir, "pool.img"), sandbox.poolDir);
    const server = await startServer(sandbox);
    await callsOf(server.client, sandbox).get(id);
    await server.stop();
    expect(doctor().code).toBe(0);
  });

  it("another registry's pool that holds volumes is refused, and so is another pool than the registry's", async () => {
    const id = await makeVolume();
    const other = mkdtempSync(join(tmpdir(), "granary-test-"));
    try {
      const lost = up(join(other, "data"), sandbox.poolDir);
      expect([lost.code, lost.stderr]).toEqual([1, expect.stringMatching(/holds the volumes of another registry/)]);
      const strange = up(sandbox.dataDir, join(other, "pool"));
      expect([strange.code, strange.stderr]).toEqual([1, expect.stringMatching(/marker is missing/)]);
      expect(existsSync(join(sandbox.poolDir, "volumes", id, "image"))).toBe(true);
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });

  it("pool status reads the marker and changes nothing", async () => {
    await makeVolume();
    const before = readdirSync(sandbox.poolDir);
    const { code, stdout } = granary(["pool", "status", "--data-dir", sandbox.dataDir, "-o", "json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ reflink: true, volumes: 1, committedBytes: 32 * 1024 ** 2 });
    expect(readdirSync(sandbox.poolDir)).toEqual(before);
  });

  it("a create that was cut off is told by doctor, and settled by the next start: without a record it goes", async () => {
    const id = await makeVolume();
    const cut = join(sandbox.poolDir, "new", `g1-l-v-${"0".repeat(24)}`);
    mkdirSync(cut);
    expect(doctor().stdout).toMatch(new RegExp(`error +create-unfinished +${cut}`));
    // Recorded, and not in its place: a loss of power may undo the rename that put it there.
    renameSync(join(sandbox.poolDir, "volumes", id), join(sandbox.poolDir, "new", id));
    const server = await startServer(sandbox);
    await callsOf(server.client, sandbox).controllerPublish(id);
    await server.stop();
    expect(readdirSync(join(sandbox.poolDir, "new"))).toEqual([]);
    expect(doctor().code).toBe(0);
  });

  it("what a delete left in the trash without an intent is an orphan", async () => {
    const id = await makeVolume();
    const trash = join(sandbox.poolDir, "trash", id);
    renameSync(join(sandbox.poolDir, "volumes", id), trash);
    expect(doctor().stdout).toMatch(new RegExp(`error +orphan +${trash}`));
  });
});
