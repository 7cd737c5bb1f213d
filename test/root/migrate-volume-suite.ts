import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claim, claimVolume, pod } from "./manifests-world.js";
import { granary, type Sandbox, type TestServer } from "./server-harness.js";

const MAIN = fileURLToPath(new URL("../../dist/src/main.js", import.meta.url));
const KIB = 1024;

export interface VolumeMigrationWorld {
  sandbox: Sandbox;
  server: TestServer;
  /** Manifests of the StorageClasses `old` and `new`. */
  classes: string;
  close(): Promise<void>;
}

/** What the migration of a claim promises, between whichever two classes. */
export function describeVolumeMigration(between: string, makeWorld: () => Promise<VolumeMigrationWorld>): void {
  describe(`granary migrate volume, ${between}`, () => {
    let world: VolumeMigrationWorld;
    beforeAll(async () => {
      world = await makeWorld();
      expect(apply(world.classes)).toMatchObject({ code: 0 });
    });
    afterAll(() => world?.close());

    const run = (args: readonly string[], input = "") => granary([...args, "--data-dir", world.sandbox.dataDir], input);
    const apply = (yaml: string) => run(["apply", "-f", "-"], yaml);
    const stored = (kind: string, name: string) => JSON.parse(run(["get", kind, name, "-o", "json"]).stdout);
    const migrate = (name: string, ...more: string[]) => run(["migrate", "volume", name, "--to", "new", ...more]);
    const mounted = (podName: string): string => stored("pod", podName).status.mounts[0].hostPath;
    const start = (podName: string, claimName: string, more = "") => {
      expect(apply(more + pod(podName, [claimVolume(claimName)]))).toMatchObject({ code: 0 });
      return mounted(podName);
    };
    const stop = (podName: string) => expect(run(["delete", "pod", podName])).toMatchObject({ code: 0 });
    const oldClaim = (name: string) =>
      claim(name, { storageClassName: "old", resources: { requests: { storage: "64Mi" } } });
    const volumeIds = async () => {
      const { entries } = await world.server.client.call("Controller", "ListVolumes", {});
      return (entries ?? []).map(({ volume }) => volume?.volume_id);
    };
    const expectNothingLeft = async (...claims: string[]) => {
      const handles = claims.map((name) => stored("pv", stored("pvc", name).spec.volumeName).spec.csi.volumeHandle);
      expect(await volumeIds()).toEqual(expect.arrayContaining(handles));
      const { entries } = await world.server.client.call("Controller", "ListSnapshots", {});
      expect(entries).toEqual([]);
      for (const name of claims)
        expect(stored("pvc", name).metadata.annotations).not.toHaveProperty("csi.granary.dev/migration");
    };

    it("one that nobody uses: its files, its size, its name; the old volume is gone", async () => {
      const path = start("first", "idle", oldClaim("idle"));
      const data = randomBytes(3 * KIB * KIB);
      writeFileSync(join(path, "data"), data, { flush: true });
      const before = stored("pvc", "idle");
      const oldHandle = stored("pv", before.spec.volumeName).spec.csi.volumeHandle;
      stop("first");
      const { code, stdout, stderr } = migrate("idle");
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(
        /^persistentvolumeclaim\/idle migrated to new, volume pvc-.*: .* copied now, .* verified\n$/,
      );
      const after = stored("pvc", "idle");
      expect(after.metadata.uid).toBe(before.metadata.uid);
      expect(after.spec.storageClassName).toBe("new");
      expect(await volumeIds()).not.toContain(oldHandle);
      await expectNothingLeft("idle");
      const there = start("second", "idle");
      expect(readFileSync(join(there, "data")).equals(data)).toBe(true);
      writeFileSync(join(there, "more"), "can be written to", { flush: true });
      stop("second");
    });

    it("one in use: copied first, and moved with what changed since once its pod is gone", async () => {
      const path = start("busy", "busy", oldClaim("busy"));
      for (let i = 0; i < 8; i++) writeFileSync(join(path, `file-${i}`), randomBytes(200 * KIB), { flush: true });
      const first = migrate("busy");
      expect(first.code).toBe(1);
      expect(first.stderr).toMatch(/copied and verified, and the volume is in use by pod default\/busy: delete that/);
      writeFileSync(join(path, "file-3"), "changed since", { flush: true });
      writeFileSync(join(path, "late"), "new since", { flush: true });
      const content = Object.fromEntries(
        readdirSync(path)
          .filter((name) => name !== "lost+found")
          .map((name) => [name, readFileSync(join(path, name), "base64")]),
      );
      stop("busy");
      const second = migrate("busy");
      expect([second.code, second.stderr]).toEqual([0, ""]);
      await expectNothingLeft("busy");
      const there = start("again", "busy");
      for (const [name, data] of Object.entries(content)) expect(readFileSync(join(there, name), "base64")).toBe(data);
      stop("again");
    });

    it("killed while it copies, again and again: the next run ends it, and leaves nothing behind", async () => {
      const path = start("cut", "cut", oldClaim("cut"));
      const data = randomBytes(24 * KIB * KIB);
      writeFileSync(join(path, "data"), data, { flush: true });
      stop("cut");
      for (const afterMs of [400, 900, 1500, 2200]) {
        const args = [MAIN, "migrate", "volume", "cut", "--to", "new", "--data-dir", world.sandbox.dataDir];
        const child = spawn(process.execPath, args, { stdio: "ignore" });
        const ended = new Promise((resolve) => child.once("exit", resolve));
        const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
        await ended;
        clearTimeout(timer);
      }
      // One of them may have been fast enough.
      if (stored("pvc", "cut").spec.storageClassName === "old" || migrationRecord("cut")) {
        const last = migrate("cut");
        expect([last.code, last.stderr]).toEqual([0, ""]);
      }
      apply(world.classes);
      await expectNothingLeft("cut");
      const there = start("whole", "cut");
      expect(readFileSync(join(there, "data")).equals(data)).toBe(true);
      stop("whole");
      expect(await volumeIds()).toHaveLength(3);
    });
    const migrationRecord = (name: string) => stored("pvc", name).metadata.annotations["csi.granary.dev/migration"];

    it("--keep-source: the old volume stays, Released", async () => {
      expect(apply(oldClaim("kept"))).toMatchObject({ code: 0 });
      const old = stored("pvc", "kept").spec.volumeName;
      expect(migrate("kept", "--keep-source")).toMatchObject({ code: 0, stderr: "" });
      expect(stored("pv", old).status.phase).toBe("Released");
      expect(await volumeIds()).toContain(stored("pv", old).spec.csi.volumeHandle);
    });

    it.each([
      { words: ["nobody", "--to", "new"], says: /persistentvolumeclaim default\/nobody not found/ },
      { words: ["idle", "--to", "nothing"], says: /--to: storageclass nothing not found/ },
      { words: ["idle", "--to", "new"], says: /is of class new already/ },
    ])("$words: refused, and says why", ({ words, says }) => {
      const { code, stderr } = run(["migrate", "volume", ...words]);
      expect(code).toBe(1);
      expect(stderr).toMatch(says);
      expect(stderr).not.toMatch(/^\s+at /m);
    });
  });
}
