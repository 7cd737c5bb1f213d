import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { parse } from "yaml";
import { type ClusterConfig, parseClusters } from "../../src/config/clusters.js";
import { openRbdEngine, type RbdOptions, type RbdVolumeEngine } from "../../src/engines/ceph/rbd/index.js";
import type { Context } from "../../src/engines/types.js";
import type { Publication, VolumeSpec } from "../../src/model/volume.js";
import { type Exec, exec } from "../../src/os/exec.js";
import { makePlace, type Place } from "./place.js";

export const MIB = 1024n * 1024n;
export const log = pino({ level: process.env.GRANARY_TEST_LOG ?? "silent" });
export const context = (ms = 60_000): Context => ({ signal: AbortSignal.timeout(ms), requestId: "test", log });

/** Engines, as two controllers have them, on a namespace of their own. */
export interface RbdTestWorld {
  place: Place;
  config: ClusterConfig;
  dir: string;
  configPath: string;
  open(options?: RbdOptions, run?: Exec): Promise<RbdVolumeEngine>;
  remove(): Promise<void>;
}

export function makeRbdWorld(): RbdTestWorld {
  const place = makePlace();
  const dir = mkdtempSync(join(tmpdir(), "granary-rbd-"));
  const configPath = join(dir, "config.yaml");
  place.writeConfig(configPath);
  const { clusters } = parse(readFileSync(configPath, "utf8")) as { clusters: unknown };
  const [config] = parseClusters(clusters) as [ClusterConfig];
  const engines: RbdVolumeEngine[] = [];
  return {
    ...{ place, config, dir, configPath },
    async open(options = {}, run = exec) {
      const engine = await openRbdEngine(config, run, log, dir, { sweepMs: 0, ...options });
      engines.push(engine);
      return engine;
    },
    async remove() {
      for (const engine of engines) await engine.close();
      rmSync(dir, { recursive: true, force: true });
      place.remove();
    },
  };
}

export const spec = (name: string, more: Partial<VolumeSpec> = {}): VolumeSpec => ({
  ...{ name, kind: "block", capacityBytes: 16n * MIB, fsType: "ext4", mkfsOptions: [], provisioning: "thin" },
  ...{ reclaimSpaceMs: 0, parameters: { cluster: "main" }, mutableParameters: {}, source: null },
  ...more,
});

export const publication = (nodeId: string, more: Partial<Publication> = {}): Publication => ({
  ...{ nodeId, readonly: false, capability: "{}", mode: "SINGLE_NODE_WRITER" },
  ...more,
});

/** The code and message that a call fails with. */
export async function failure(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "done";
}
