import * as fs from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { pino } from "pino";
import { type Config, loadConfig } from "../config/config.js";
import { AttacherSet } from "../engines/attacher-set.js";
import { localAttacher } from "../engines/local/attacher.js";
import { checkImages, checkIntents, checkRegistry } from "../engines/local/doctor.js";
import { checkPoolPlace } from "../engines/local/doctor-pool.js";
import { checkObjectStore, type StoreReport } from "../engines/local/objects/doctor.js";
import { readRegistryCopy } from "../engines/local/registry-copy.js";
import { checkUpstream } from "../engines/s3/doctor.js";
import { invalid, messageOf } from "../errors/storage-error.js";
import { count } from "../model/count.js";
import { type Finding, lastingFindings } from "../model/finding.js";
import { exec } from "../os/exec.js";
import { listLoops } from "../os/loop.js";
import { listMounts } from "../os/mount.js";
import { serverFiles } from "../runtime/server-file.js";
import { checkCeph, checkCephPlaces } from "./doctor-ceph.js";
import { checkNode } from "./doctor-node.js";
import { plain } from "./objectstore-engine.js";
import { openCephAttachers } from "./open-ceph.js";

interface Report {
  findings: Finding[];
  volumes: number;
  snapshots: number;
  loops: number;
  mounts: number;
  /** Where there is an object store. */
  objects?: number;
  bodies?: number;
  /** Where the config has clusters of Ceph: what is so of them. */
  ceph?: readonly string[];
  /** Buckets upstream, where the config names an upstream. */
  buckets?: number;
}

const SILENT = pino({ level: "silent" });
const SECOND_LOOK_MS = 300;
const LOOK_DEADLINE_MS = 60_000;

const HELP = `
Beside a running server it looks twice and reports what stays: what came or went between was an operation in progress.

Exit code: 0 when nothing is wrong (warnings alone included), 1 when there is any error.`;

/** `granary doctor`: reads registry, pool, loop devices, mounts, node records and the object store's metadata, and changes none of them. */
export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      "look for orphans and mismatches between registry, pool, loop devices, mounts and objects; changes nothing",
    )
    .option("-o, --output <format>", "table or json", "table")
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "the data dir (default /var/lib/granary)")
    .option("--pool-dir <dir>", "the pool's folder (default DATA-DIR/pool)")
    .addHelpText("after", HELP)
    .action(doctor);
}

async function doctor(flags: { output: string; dataDir?: string; poolDir?: string; config?: string }): Promise<void> {
  const { output, ...rest } = flags;
  if (output !== "table" && output !== "json")
    throw invalid(`--output: ${JSON.stringify(output)} is not table or json`);
  const config = loadConfig(rest);
  const running = (await serverFiles(config.dataDir)).filter(({ alive }) => alive);
  // The object store, which has no endpoint of CSI's, is in no operation on volumes.
  const serverRuns = running.some(({ record }) => record?.csiEndpoint);
  let report = await look(config, serverRuns);
  let inProgress: Finding[] = [];
  if (running.length > 0 && report.findings.length > 0) {
    const first = report.findings;
    await sleep(SECOND_LOOK_MS);
    report = await look(config, serverRuns);
    const compared = lastingFindings(first, report.findings);
    report.findings = compared.lasting;
    inProgress = compared.inProgress;
  }
  if (output === "json") process.stdout.write(`${JSON.stringify({ ...report, inProgress }, null, 2)}\n`);
  else print(report, inProgress);
  if (report.findings.some(({ severity }) => severity === "error")) process.exitCode = 1;
}

function print(report: Report, inProgress: readonly Finding[]): void {
  const out = (line: string) => process.stdout.write(`${line}\n`);
  for (const { severity, check, where, what, next } of report.findings)
    out(`${severity.padEnd(7)} ${check}  ${where}\n        ${what}\n        next: ${next}`);
  for (const fact of report.ceph ?? []) out(fact);
  for (const { check, where } of inProgress) out(`in progress: ${check}  ${where}`);
  const objects =
    report.objects === undefined ? [] : [count(report.objects, "object"), count(report.bodies ?? 0, "body file")];
  if (report.buckets !== undefined) objects.push(count(report.buckets, "upstream bucket"));
  const checked = `${[
    ...[count(report.volumes, "volume"), count(report.snapshots, "snapshot")],
    ...[count(report.loops, "loop device"), count(report.mounts, "mount"), ...objects],
  ].join(", ")} checked`;
  const errors = report.findings.filter(({ severity }) => severity === "error").length;
  const warnings = report.findings.length - errors;
  out(
    `${errors + warnings === 0 ? "no problem found" : `${count(errors, "error")}, ${count(warnings, "warning")}`}: ${checked}`,
  );
}

async function look(config: Config, serverRuns: boolean): Promise<Report> {
  const { dataDir, poolDir, lowSpaceRatio } = config;
  const nothing = { volumes: 0, snapshots: 0, loops: 0, mounts: 0 };
  const present = await fs.stat(dataDir).catch(() => undefined);
  if (!present?.isDirectory()) {
    const what = present ? "the data dir is not a folder" : "the data dir does not exist";
    return { ...nothing, findings: [noData(dataDir, what, "name the right one with --data-dir, or start granary up")] };
  }
  // The kernel before the registry: what an operation adds in between is then in the later of the two, and settles.
  const signal = AbortSignal.timeout(LOOK_DEADLINE_MS);
  const loops = await listLoops(exec, signal);
  const mounts = await listMounts();
  const damaged: Finding[] = [];
  const contents = await readRegistryCopy(join(dataDir, "registry")).catch((error: unknown) => {
    const next = "stop the server, keep a copy of the folder, and restore the registry from a backup";
    const what = `the registry cannot be read: ${messageOf(error)}`;
    damaged.push({ severity: "error", check: "registry-damaged", where: join(dataDir, "registry"), what, next });
    return undefined;
  });
  const poolUuid = contents?.poolUuid ?? "";
  const place = await checkPoolPlace({ dataDir, poolDir, poolUuid, lowSpaceRatio, mounts, loops });
  const store = await checkStore(join(dataDir, "objects"));
  const upstream = config.s3Upstream && (await checkUpstream(plain(config.s3Upstream), { signal, log: SILENT }));
  const findings = [
    ...[...(await checkServerFiles(config)), ...damaged],
    ...[...(store?.findings ?? []), ...(upstream?.findings ?? [])],
  ];
  // A host of the object store alone has neither pool nor registry.
  const isStoreAlone = store !== undefined || config.objectEngine === "s3";
  if (!isStoreAlone || contents || damaged.length > 0) findings.push(...place.findings);
  if (contents) {
    findings.push(...checkRegistry(contents), ...checkIntents(contents.intents, serverRuns));
    if (place.usable)
      findings.push(...(await checkImages(poolDir, contents, new Set(loops.map((loop) => loop.identity)))));
  } else if (damaged.length === 0 && !isStoreAlone)
    findings.push(noData(dataDir, "there is no registry in it", "start granary up, which makes one"));
  const node = await checkNode({
    stateDir: join(await fs.realpath(dataDir), "node"),
    poolDir: await fs.realpath(poolDir).catch(() => poolDir),
    volumes: contents?.volumes,
    loops,
    mounts,
  });
  const ceph = await checkCeph(config, exec);
  findings.push(...ceph.findings, ...(await cephPlaces(config)));
  return {
    findings: [...findings, ...node.findings],
    ...(ceph.facts.length === 0 ? {} : { ceph: ceph.facts }),
    volumes: contents?.volumes.length ?? 0,
    snapshots: contents?.snapshots.length ?? 0,
    loops: node.loops,
    mounts: node.mounts,
    ...(store?.objects === undefined ? {} : { objects: store.objects, bodies: store.bodies }),
    ...(upstream && { buckets: upstream.buckets }),
  };
}

async function cephPlaces(config: Config): Promise<Finding[]> {
  const ceph = openCephAttachers(config, exec);
  if (!ceph) return [];
  try {
    const attachers = new AttacherSet(localAttacher(exec, config.poolDir), ceph.attachers);
    return await checkCephPlaces(join(config.dataDir, "node"), attachers);
  } finally {
    await ceph.close();
  }
}

async function checkStore(dir: string): Promise<Partial<StoreReport> | undefined> {
  try {
    return await checkObjectStore(dir);
  } catch (error) {
    const what = `the object store's metadata cannot be read: ${messageOf(error)}`;
    const next = "stop the server, keep a copy of the folder, and restore it from a backup";
    return { findings: [{ severity: "error", check: "objects-damaged", where: dir, what, next }] };
  }
}

const noData = (where: string, what: string, next: string): Finding => ({
  severity: "error",
  check: "nothing-here",
  where,
  what,
  next,
});

/** What a server that was killed leaves: harmless, and the next start replaces it. */
async function checkServerFiles(config: Config): Promise<Finding[]> {
  const files = await serverFiles(config.dataDir);
  const stale = (where: string, what: string): Finding => ({
    severity: "warning",
    check: "stale-server-file",
    where,
    what,
    next: "the server was killed or the host restarted: its next start replaces it",
  });
  const findings = files
    .filter(({ alive }) => !alive)
    .map(({ path, record }) =>
      stale(path, record ? `names process ${record.pid}, which does not run` : "cannot be understood"),
    );
  const served = new Set(files.filter(({ alive }) => alive).map(({ record }) => record?.csiEndpoint));
  const endpoints = new Set([config.csiEndpoint, ...files.flatMap(({ record }) => record?.csiEndpoint ?? [])]);
  for (const endpoint of endpoints) {
    const path = endpoint.replace(/^unix:\/\//, "");
    const socket = await fs.lstat(path).catch(() => undefined);
    if (socket?.isSocket() && !served.has(endpoint)) findings.push(stale(path, "a socket that no server listens on"));
  }
  return findings;
}
