import * as fs from "node:fs/promises";
import { type GrpcObject, Server, type ServiceClientConstructor } from "@grpc/grpc-js";
import { Command } from "commander";
import type { Logger } from "pino";
import { identityHandlers } from "../../controller/identity.js";
import { controllerHandlers } from "../../controller/service.js";
import { nodeHandlers, recoverNode } from "../../node/service.js";
import { type Config, loadConfig } from "../config/config.js";
import { AttacherSet } from "../engines/attacher-set.js";
import { EngineSet } from "../engines/engine-set.js";
import { localAttacher } from "../engines/local/attacher.js";
import { LocalVolumeEngine } from "../engines/local/index.js";
import { readPool } from "../engines/local/pool.js";
import { mountPool } from "../engines/local/pool-device.js";
import type { Context } from "../engines/types.js";
import { StorageError } from "../errors/storage-error.js";
import { type Exec, exec } from "../os/exec.js";
import { observedExec } from "../os/observed-exec.js";
import { assertTools } from "../os/tools.js";
import { every } from "../runtime/every.js";
import { loadCsi, streaming, unary } from "../runtime/grpc.js";
import type { HealthServer } from "../runtime/health-http.js";
import { KeyedLock } from "../runtime/keyed-lock.js";
import { listen } from "../runtime/listen.js";
import { openLog } from "../runtime/log.js";
import { type Metrics, openMetrics, type PoolFigures, type RpcObserver } from "../runtime/metrics.js";
import { claimDataDir } from "../runtime/server-file.js";
import { crashAtStep } from "../runtime/steps.js";
import { stopSignal } from "../runtime/stop-signal.js";
import { type ObjectstoreChild, startObjectstore } from "./objectstore-child.js";
import { addObjectstoreOptions } from "./objectstore-options.js";
import { openCephAttachers, openCephEngines } from "./open-ceph.js";
import { openHealth } from "./open-health.js";
import { resumeObjects } from "./resume-objects.js";

export type Role = "up" | "controller" | "node";

const DESCRIPTION: Record<Role, string> = {
  up: "run everything on this host: CSI controller and node, and the S3 gateway",
  controller: "run the CSI controller alone",
  node: "run the CSI node alone, on the controller's host",
};

/** A controller and a node of one data dir are two servers. */
const SOCKET: Record<Role, string> = { up: "csi.sock", controller: "controller.sock", node: "node.sock" };

export function serveCommand(role: Role, version: string): Command {
  const command = new Command(role)
    .description(DESCRIPTION[role])
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "where registry, pool and sockets live (default /var/lib/granary)")
    .option("--pool-dir <dir>", "where images live (default DATA-DIR/pool)")
    .option("--csi-endpoint <endpoint>", `unix:///path.sock to serve CSI on (default DATA-DIR/${SOCKET[role]})`)
    .option("--node-id <id>", "this host's CSI node id (default its host name)")
    .option("--overcommit <ratio>", "how many times the pool's size may be promised (default 10)")
    .option("--low-space-ratio <ratio>", "free share of the pool below which volumes are abnormal (default 0.05)")
    .option("--clusters <yaml>", "Ceph clusters, as YAML or JSON; keys belong into keyring files")
    .option("--log-level <level>", "fatal, error, warn, info, debug or trace (default info)")
    .option(
      "--metrics-address <address>",
      'HOST:PORT of /metrics, /healthz, /readyz, "" for none (default 127.0.0.1:9810)',
    );
  if (role === "up") addObjectstoreOptions(command.option("--no-s3-enabled", "serve no S3"));
  return command.action(async ({ s3Enabled, ...flags }: Record<string, string | boolean>) => {
    // commander's default of a --no- option is true, which must not win over the environment and the config file.
    const given = s3Enabled === false ? { ...flags, s3Enabled } : flags;
    return serve(role, loadConfig(given, undefined, SOCKET[role]), version, flags);
  });
}

/** Everything a server is made of, in one place. Ends when SIGTERM or SIGINT has drained it. */
async function serve(role: Role, config: Config, version: string, flags: Record<string, unknown>): Promise<void> {
  const log = openLog({ level: config.logLevel, role });
  const release = await claimDataDir(config.dataDir, role, config.csiEndpoint);
  const server = new Server({ "grpc.max_receive_message_length": 4 * 1024 * 1024 });
  const csi = loadCsi();
  let engine: LocalVolumeEngine | null = null;
  let ready = false;
  let objects: ObjectstoreChild | null = null;
  const metrics = metricsOf(role, () => engine);
  const run = observedExec(exec, metrics.observeProcess);
  const probe = async (ctx: Context) => {
    await assertTools();
    if (engine) return engine.probe(ctx);
    // A node of Ceph's volumes alone has no pool.
    if (config.clusters.length === 0 && !(await readPool(config.poolDir)))
      throw new StorageError("failed-precondition", `no pool is at ${config.poolDir}: is it mounted?`);
  };
  let health: HealthServer | null = null;
  let stopReclaiming = async () => {};
  let closeCeph = async () => {};
  addService(
    server,
    log,
    csi,
    "Identity",
    identityHandlers({
      version,
      hasController: role !== "node",
      ready: () => ready,
      probe,
    }),
    metrics.observeRpc,
  );
  try {
    const text = async () => {
      const { contentType, body } = await metrics.text();
      return { contentType, body: body + ((await objects?.metricsText()) ?? "") };
    };
    health = await openHealth(config, log, { text }, async () => {
      if (!ready) throw new StorageError("unavailable", "starting up");
      await probe({ signal: AbortSignal.timeout(PROBE_MS), requestId: "readyz", log });
    });
    await fs.mkdir(`${config.dataDir}/registry`, { recursive: true, mode: 0o700 });
    await mountPool(run, new AbortController().signal, config.dataDir, config.poolDir);
    if (config.crashAt !== "") crashAtStep(config.crashAt);
    if (role !== "node") {
      const opened = await openEngine(config, log, run);
      engine = opened;
      const locks = new KeyedLock();
      stopReclaiming = every(RECLAIM_CHECK_MS, async (signal) => {
        await opened.reclaimSpace(locks, signal, Date.now());
      });
      const ceph = await openCephEngines(config, run, log);
      closeCeph = ceph.close;
      const engines = new EngineSet(opened, ceph.engines);
      const handlers = controllerHandlers({ engines, locks });
      addService(server, log, csi, "Controller", handlers.controller, metrics.observeRpc);
      addService(server, log, csi, "GroupController", handlers.group, metrics.observeRpc);
      addStreams(server, log, csi, "SnapshotMetadata", handlers.metadata, metrics.observeRpc);
    }
    if (role !== "controller") {
      const ceph = openCephAttachers(config, run, log);
      closeCeph = both(closeCeph, async () => ceph?.close());
      const attachers = new AttacherSet(localAttacher(run, config.poolDir), ceph?.attachers);
      const node = { nodeId: config.nodeId, attachers, stateDir: `${config.dataDir}/node`, exec: run };
      await recoverNode(node, log);
      addService(server, log, csi, "Node", nodeHandlers(node), metrics.observeRpc);
    }
    // The data dir is ours (claimed above), so a socket that is still there is a dead server's.
    const listener = await listen(server, config.csiEndpoint);
    ready = true;
    const reflink = engine
      ? `, pool ${engine.pool.dir} ${engine.pool.reflink ? "with reflinks: snapshots and clones are instant" : "without reflinks: snapshots and clones copy extents (granary pool init makes a pool that has them)"}`
      : "";
    log.info(`ready on ${config.csiEndpoint}${reflink}`);
    // Heard from here on: not to leave an object store behind that was about to start.
    const stopped = stopSignal();
    if (role === "up" && config.s3Enabled)
      objects = await startObjectstore(config, flags, log, stopped).catch((error: unknown) => {
        listener.close();
        server.forceShutdown();
        throw error;
      });
    const stopResuming = role === "up" ? resumeObjects(config, log) : async () => {};
    await stopped;
    log.info("draining");
    await stopResuming();
    listener.close();
    await drain(server);
  } finally {
    await objects?.stop();
    await stopReclaiming();
    await health?.close();
    await closeCeph();
    await engine?.close();
    await release();
  }
}

const both = (first: () => Promise<void>, second: () => Promise<void>) => async () => {
  await first();
  await second();
};

function metricsOf(role: Role, engine: () => LocalVolumeEngine | null): Metrics {
  const pool = async (): Promise<PoolFigures> => {
    const opened = engine();
    if (!opened) throw new StorageError("unavailable", "the pool is not open yet");
    return opened.status();
  };
  return openMetrics(role === "node" ? undefined : pool);
}

const PROBE_MS = 10_000;
// The shortest interval of reclaimSpace.
const RECLAIM_CHECK_MS = 60_000;

function openEngine(config: Config, log: Logger, exec: Exec): Promise<LocalVolumeEngine> {
  return LocalVolumeEngine.open({
    poolDir: config.poolDir,
    registryDir: `${config.dataDir}/registry`,
    nodeIds: [config.nodeId],
    overcommit: config.overcommit,
    lowSpaceRatio: config.lowSpaceRatio,
    exec,
    log,
  });
}

function definition(csi: GrpcObject, name: string) {
  const v1 = (csi.csi as GrpcObject).v1 as GrpcObject;
  return (v1[name] as ServiceClientConstructor).service;
}

type Handlers = Record<string, (ctx: never, request: never) => unknown>;

function addService(
  server: Server,
  log: Logger,
  csi: GrpcObject,
  name: string,
  handlers: Handlers,
  observe: RpcObserver,
): void {
  const wrapped = Object.entries(handlers).map(([method, handler]) => [
    method,
    unary(log, handler as Parameters<typeof unary>[1], observe),
  ]);
  server.addService(definition(csi, name), Object.fromEntries(wrapped));
}

function addStreams(
  server: Server,
  log: Logger,
  csi: GrpcObject,
  name: string,
  handlers: Handlers,
  observe: RpcObserver,
): void {
  const wrapped = Object.entries(handlers).map(([method, handler]) => [
    method,
    streaming(log, handler as Parameters<typeof streaming>[1], observe),
  ]);
  server.addService(definition(csi, name), Object.fromEntries(wrapped));
}

const DRAIN_MS = 30_000;

function drain(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, DRAIN_MS);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
