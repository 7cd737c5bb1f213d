import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LocalVolumeEngine } from "../../src/engines/local/index.js";
import { exec } from "../../src/os/exec.js";
import { KeyedLock } from "../../src/runtime/keyed-lock.js";
import { allocatedBytes, bytes, callsOf, type Made, MIB, tool } from "./csi-requests.js";
import { makeSandbox, removeSandbox, type Sandbox, startServer } from "./server-harness.js";

const HOUR_MS = 3_600_000;
let sandbox: Sandbox;
let engine: LocalVolumeEngine;
const volumes: Record<string, Made> = {};

const image = (name: string) => join(sandbox.poolDir, "volumes", volumes[name]?.volume_id ?? "", "image");
const due = (hours: number, locks = new KeyedLock()) =>
  engine.reclaimSpace(locks, new AbortController().signal, Date.now() + hours * HOUR_MS);
const idOf = (name: string) => volumes[name]?.volume_id ?? "";

/** Writes 32 MiB into the volume's file system and deletes it again: free there, still allocated in the pool. */
function dirty(name: string): void {
  const path = join(sandbox.dir, "staging", idOf(name));
  writeFileSync(join(path, "data"), Buffer.alloc(32 * MIB, 1), { flush: true });
  rmSync(join(path, "data"));
  tool("sync", "-f", path);
}

beforeAll(async () => {
  sandbox = makeSandbox();
  const server = await startServer(sandbox);
  const csi = callsOf(server.client, sandbox);
  const make = async (name: string, reclaimSpace: string) => {
    const parameters = reclaimSpace === "" ? {} : { reclaimSpace };
    const volume = await csi.create(name, { parameters, capacity_range: bytes(128 * MIB) });
    volumes[name] = volume;
    return volume;
  };
  await csi.attach(await make("daily", "24h"));
  await csi.attach(await make("never", ""));
  await csi.attach(await make("modified", "24h"));
  await csi.modify(idOf("modified"), { reclaimSpace: "1h" });
  await make("idle", "24h");
  await server.stop();
  // The mounts stay when the server stops: the engine itself is run here, at times of the test's choosing.
  engine = await LocalVolumeEngine.open({
    nodeIds: ["host-1"],
    poolDir: sandbox.poolDir,
    registryDir: join(sandbox.dataDir, "registry"),
    overcommit: 10,
    lowSpaceRatio: 0.05,
    exec,
    log: pino({ level: "silent" }),
  });
});
afterAll(async () => {
  await engine?.close();
  removeSandbox(sandbox);
});

describe("reclaimSpace", () => {
  it("nothing before its time; then fstrim gives the free blocks of a mounted volume back to the pool", async () => {
    for (const name of ["daily", "never", "modified"]) dirty(name);
    const before = { daily: allocatedBytes(image("daily")), never: allocatedBytes(image("never")) };
    expect(await due(0.5)).toEqual([]);
    expect(allocatedBytes(image("daily"))).toBe(before.daily);
    // ControllerModifyVolume's interval is the one that counts.
    expect(await due(2)).toEqual([idOf("modified")]);
    expect((await due(25)).sort()).toEqual([idOf("daily"), idOf("modified")].sort());
    expect(allocatedBytes(image("daily"))).toBeLessThan(before.daily - 24 * MIB);
    expect(allocatedBytes(image("never"))).toBe(before.never);
  });

  it("not again before the interval has passed anew; a volume that an operation works on stays due", async () => {
    expect(await due(26)).toEqual([idOf("modified")]);
    const locks = new KeyedLock();
    await locks.run([idOf("daily")], "CreateSnapshot", async () => {
      expect(await due(50, locks)).toEqual([idOf("modified")]);
    });
    expect(await due(50)).toEqual([idOf("daily")]);
  });
});
