import * as fs from "node:fs/promises";
import { dirname } from "node:path";
import { type GrpcObject, Server, ServerCredentials, type ServiceClientConstructor } from "@grpc/grpc-js";
import { Command } from "commander";
import { type Logger, pino } from "pino";
import { identityHandlers } from "../../controller/identity.js";
import { controllerHandlers } from "../../controller/service.js";
import { nodeHandlers } from "../../node/service.js";
import { type Config, loadConfig } from "../config/config.js";
import { LocalVolumeEngine } from "../engines/local/index.js";
import { mountPool } from "../engines/local/pool-device.js";
import { StorageError } from "../errors/storage-error.js";
import { exec } from "../os/exec.js";
import { loadCsi, streaming, unary } from "../runtime/grpc.js";
import { KeyedLock } from "../runtime/keyed-lock.js";
import { claimDataDir } from "../runtime/server-file.js";

export type Role = "up" | "controller" | "node";

const DESCRIPTION: Record<Role, string> = {
  up: "run controller and node in one process",
  controller: "run the CSI controller alone",
  node: "run the CSI node alone, on the controller's host",
};

export function serveCommand(role: Role, version: string): Command {
  return new Command(role)
    .description(DESCRIPTION[role])
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "where registry, pool and sockets live (default /var/lib/granary)")
    .option("--pool-dir <dir>", "where images live (default DATA-DIR/pool)")
    .option("--csi-endpoint <endpoint>", "unix:///path.sock to serve CSI on (default DATA-DIR/csi.sock)")
    .option("--node-id <id>", "this host's CSI node id (default its host name)")
    .option("--overcommit <ratio>", "how many times the pool's size may be promised (default 10)")
    .option("--low-space-ratio <ratio>", "free share of the pool below which volumes are abnormal (default 0.05)")
    .option("--log-level <level>", "fatal, error, warn, info, debug or trace (default info)")
    .action(async (flags: Record<string, string>) => serve(role, loadConfig(flags), version));
}

/** Everything a server is made of, in one place. Ends when SIGTERM or SIGINT has drained it. */
async function serve(role: Role, config: Config, version: string): Promise<void> {
  const log = pino({ level: config.logLevel, base: { role } }, pino.destination({ dest: 2, sync: true }));
  const release = await claimDataDir(config.dataDir, role, config.csiEndpoint);
  const server = new Server({ "grpc.max_receive_message_length": 4 * 1024 * 1024 });
  const csi = loadCsi();
  let engine: LocalVolumeEngine | null = null;
  let ready = false;
  addService(
    server,
    log,
    csi,
    "Identity",
    identityHandlers({
      version,
      hasController: role !== "node",
      ready: () => ready,
      probe: async (ctx) => engine?.probe(ctx),
    }),
  );
  try {
    await fs.mkdir(`${config.dataDir}/registry`, { recursive: true, mode: 0o700 });
    await mountPool(exec, new AbortController().signal, config.dataDir, config.poolDir);
    if (role !== "node") {
      engine = await openEngine(config, log);
      const handlers = controllerHandlers({ engine, locks: new KeyedLock(), nodeIds: [config.nodeId] });
      addService(server, log, csi, "Controller", handlers.controller);
      addService(server, log, csi, "GroupController", handlers.group);
      addStreams(server, log, csi, "SnapshotMetadata", handlers.metadata);
    }
    if (role !== "controller") {
      addService(
        server,
        log,
        csi,
        "Node",
        nodeHandlers({ nodeId: config.nodeId, poolDir: config.poolDir, stateDir: `${config.dataDir}/node`, exec }),
      );
    }
    await listen(server, config.csiEndpoint);
    ready = true;
    const reflink = engine
      ? `, pool ${engine.pool.dir} ${engine.pool.reflink ? "with reflinks: snapshots and clones are instant" : "without reflinks: snapshots and clones copy extents (granary pool init makes a pool that has them)"}`
      : "";
    log.info(`ready on ${config.csiEndpoint}${reflink}`);
    await stopSignal();
    log.info("draining");
    await drain(server);
  } finally {
    await engine?.close();
    await release();
  }
}

function openEngine(config: Config, log: Logger): Promise<LocalVolumeEngine> {
  return LocalVolumeEngine.open({
    poolDir: config.poolDir,
    registryDir: `${config.dataDir}/registry`,
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

function addService(server: Server, log: Logger, csi: GrpcObject, name: string, handlers: Handlers): void {
  const wrapped = Object.entries(handlers).map(([method, handler]) => [
    method,
    unary(log, handler as Parameters<typeof unary>[1]),
  ]);
  server.addService(definition(csi, name), Object.fromEntries(wrapped));
}

function addStreams(server: Server, log: Logger, csi: GrpcObject, name: string, handlers: Handlers): void {
  const wrapped = Object.entries(handlers).map(([method, handler]) => [
    method,
    streaming(log, handler as Parameters<typeof streaming>[1]),
  ]);
  server.addService(definition(csi, name), Object.fromEntries(wrapped));
}

async function listen(server: Server, endpoint: string): Promise<void> {
  const path = endpoint.replace(/^unix:\/\//, "");
  await fs.mkdir(dirname(path), { recursive: true });
  // The data dir is ours (claimed above), so a socket that is still there is a dead server's.
  const stat = await fs.lstat(path).catch(() => null);
  if (stat && !stat.isSocket())
    throw new StorageError("failed-precondition", `${path} exists and is not a socket; it is left alone`);
  await fs.rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(endpoint, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve());
  });
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
