import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { z } from "zod";
import { nodeState } from "../../node/node-state.js";
import { presenceOf, refOf } from "../../node/truth.js";
import type { ClusterConfig } from "../config/clusters.js";
import type { Config } from "../config/config.js";
import type { AttacherSet } from "../engines/attacher-set.js";
import { detectMounter } from "../engines/ceph/cephfs-node/index.js";
import { CephCluster } from "../engines/ceph/cluster.js";
import { mapperReports } from "../engines/ceph/rbd-node/mappers.js";
import type { Context } from "../engines/types.js";
import { messageOf } from "../errors/storage-error.js";
import { errorFinding as error, type Finding } from "../model/finding.js";
import { isLocal } from "../model/volume-id.js";
import type { Exec } from "../os/exec.js";
import { checkPlaces } from "./doctor-places.js";

const CLUSTER_MS = 20_000;
const Health = z.object({ health: z.object({ status: z.string(), checks: z.record(z.string(), z.unknown()) }) });

export interface CephReport {
  findings: Finding[];
  /** What is so, for people: a line a cluster, and by what this host attaches and mounts. */
  facts: string[];
}

/** The clusters of the config as this host sees them, and by what it would attach their volumes. */
export async function checkCeph(config: Pick<Config, "clusters">, exec: Exec): Promise<CephReport> {
  if (config.clusters.length === 0) return { findings: [], facts: [] };
  const log = pino({ level: "silent" });
  const ctx = (): Context => ({ signal: AbortSignal.timeout(CLUSTER_MS), requestId: "doctor", log });
  const reports = [
    ...(await Promise.all(config.clusters.map((cluster) => checkCluster(cluster, exec, ctx())))),
    await checkMappers(exec, ctx()),
    await checkMounter(exec, ctx()),
  ];
  return { findings: reports.flatMap(({ findings }) => findings), facts: reports.flatMap(({ facts }) => facts) };
}

async function checkCluster(config: ClusterConfig, exec: Exec, ctx: Context): Promise<CephReport> {
  const dir = await fs.mkdtemp(join(tmpdir(), "granary-doctor-"));
  try {
    const cluster = new CephCluster(config, exec, dir);
    const { health } = Health.parse(await cluster.json(ctx, "ceph", ["status"]));
    const checks = Object.keys(health.checks).join(", ");
    const facts = [`cluster ${config.name}: ${health.status}${checks === "" ? "" : ` (${checks})`}`];
    if (health.status !== "HEALTH_ERR") return { findings: [], facts };
    const next = "see ceph health detail";
    return { facts, findings: [error("cluster-unwell", config.name, `it says ${health.status}: ${checks}`, next)] };
  } catch (cause) {
    const next = `see that clusters.${config.name} has the right monitors, user and keyring, and that the monitors are reached from here`;
    return { facts: [], findings: [error("cluster-away", config.name, messageOf(cause), next)] };
  } finally {
    await fs.rm(dir, { recursive: true, force: true });
  }
}

async function checkMappers(exec: Exec, ctx: Context): Promise<CephReport> {
  const reports = await mapperReports(exec, ctx.signal);
  const taken = reports.find(({ usable }) => usable);
  const rest = reports.filter(({ usable }) => !usable).map(({ kind, why }) => `${kind}: ${why}`);
  if (taken)
    return {
      findings: [],
      facts: [
        `block volumes of Ceph: attached by ${taken.kind}, ${taken.why}${rest.length === 0 ? "" : ` (${rest.join("; ")})`}`,
      ],
    };
  return {
    facts: [],
    findings: [error("no-mapper", "this host", `cannot attach RBD images: ${rest.join("; ")}`, "install one")],
  };
}

async function checkMounter(exec: Exec, ctx: Context): Promise<CephReport> {
  try {
    const by = (await detectMounter(exec, ctx)) === "kernel" ? "the kernel" : "ceph-fuse";
    return { findings: [], facts: [`shared volumes of Ceph: mounted by ${by}`] };
  } catch (cause) {
    const finding = error(
      "no-mounter",
      "this host",
      messageOf(cause),
      "install one, where shared volumes are wanted here",
    );
    return { facts: [], findings: [{ ...finding, severity: "warning" }] };
  }
}

/** What the node recorded of Ceph's volumes against what the kernel shows. */
export async function checkCephPlaces(stateDir: string, attachers: AttacherSet): Promise<Finding[]> {
  const log = pino({ level: "silent" });
  const findings: Finding[] = [];
  for (const volume of await nodeState(stateDir).all()) {
    if (isLocal(volume.volumeId)) continue;
    try {
      const ctx: Context = { signal: AbortSignal.timeout(CLUSTER_MS), requestId: "doctor", log };
      const attacher = attachers.forId(volume.volumeId);
      const presence = await presenceOf(attacher, ctx, refOf(volume.volumeId, volume), volume);
      findings.push(...(await checkPlaces(volume, presence)));
    } catch (cause) {
      const next = "see that the config has the volume's cluster";
      findings.push(error("volume-unknown", volume.volumeId, messageOf(cause), next));
    }
  }
  return findings;
}
