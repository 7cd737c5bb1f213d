import { readFileSync } from "node:fs";
import { Command } from "commander";
import type { Logger } from "pino";
import { serveAdmin } from "../../objectstore/admin/server.js";
import { addFigures, figuresText, type RequestFigures } from "../../objectstore/http/request-metrics.js";
import { lifecycleRound } from "../../objectstore/lifecycle/round.js";
import { rootCredentials } from "../../objectstore/root-credentials.js";
import type { GatewaySettings } from "../../objectstore/types.js";
import { type Config, loadConfig } from "../config/config.js";
import { invalid, messageOf, StorageError } from "../errors/storage-error.js";
import { every } from "../runtime/every.js";
import type { HealthServer } from "../runtime/health-http.js";
import { openLog } from "../runtime/log.js";
import { openMetrics } from "../runtime/metrics.js";
import { claimObjectStore } from "../runtime/server-file.js";
import { crashAtStep } from "../runtime/steps.js";
import { stopSignal } from "../runtime/stop-signal.js";
import { startWorkers, type WorkerProcesses } from "../runtime/worker-processes.js";
import type { ChildMessage, ParentMessage } from "./objectstore-child.js";
import { type GatewayNews, openSupervisorEngine, type SupervisorEngine } from "./objectstore-engine.js";
import { addObjectstoreOptions } from "./objectstore-options.js";
import { WORKER_COMMAND, type WorkerAnswer, type WorkerReady, type WorkerStart } from "./objectstore-worker.js";
import { openHealth } from "./open-health.js";

export function objectstoreCommand(version: string): Command {
  const command = new Command("objectstore")
    .description("run the S3 gateway on the embedded engine, or on an upstream S3 service")
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "where objects, credentials and sockets live (default /var/lib/granary)");
  return addObjectstoreOptions(command)
    .option("--engine <name>", "where objects are: local (this host), or s3 (the upstream; default local)")
    .option("--s3-upstream-endpoint <url>", "http://HOST:PORT or https://HOST:PORT of the upstream S3 service")
    .option("--s3-upstream-region <name>", "the region that the upstream's signatures name (default us-east-1)")
    .option("--s3-upstream-prefix <text>", "what the names of its buckets upstream begin with (default granary-)")
    .option("--log-level <level>", "fatal, error, warn, info, debug or trace (default info)")
    .option(
      "--metrics-address <address>",
      'HOST:PORT of /metrics, /healthz, /readyz, "" for none (default 127.0.0.1:9810)',
    )
    .addHelpText("after", HELP)
    .action(async ({ engine, ...flags }: Record<string, string>) =>
      serve(loadConfig({ ...flags, objectEngine: engine }), version),
    );
}

const HELP = `
The upstream's key pair is read from the config's s3Upstream: {accessKey, secretKey}, or from the environment:
GRANARY_S3_UPSTREAM_ACCESS_KEY and GRANARY_S3_UPSTREAM_SECRET_KEY; command lines are read by others.`;

// Workers end requests of their own accord in 25 s.
const DRAIN_MS = 30_000;
const ASK_MS = 2_000;
/** The root user's canonical id: the same at every start, so that what it owns stays its own when its keys change. */
const ROOT_USER_ID = "root";

/** Everything the object store is made of, in one place. Ends when SIGTERM or SIGINT has drained it. */
async function serve(config: Config, _version: string): Promise<void> {
  const log = openLog({ level: config.logLevel, role: "objectstore" });
  // From here on: a signal, or the end of `granary up`, while this starts is not missed.
  const stopped = Promise.race([stopSignal(), parentGone()]);
  const claim = await claimObjectStore(config.dataDir);
  const closing: (() => Promise<unknown>)[] = [() => claim.release()];
  try {
    if (config.crashAt !== "") crashAtStep(config.crashAt);
    const damage = { found: 0 };
    let telling: ((news: GatewayNews) => Promise<void>) | undefined;
    const tell = async (news: GatewayNews) => telling?.(news);
    const store = await openSupervisorEngine({ config, log, tell, onDamaged: () => damage.found++ });
    closing.push(() => store.close());
    const { engine } = store;
    const root = await rootCredentials({
      ...{ dataDir: config.dataDir, configured: config.rootCredentials, log, agree: store.agreeOnRoot },
    });
    const settings: GatewaySettings = {
      region: config.region,
      domains: config.domains,
      rootUserId: ROOT_USER_ID,
      lifecycleDayMs: config.lifecycleDayMs,
      defaultOwnership: config.defaultObjectOwnership,
    };
    const workers = await startWorkers<WorkerStart, WorkerReady, WorkerAnswer, GatewayNews>({
      count: config.workers,
      command: WORKER_COMMAND,
      start: {
        ...startOf(config, settings),
        engine: store.workers,
        root: { accessKey: root.accessKey, secretKey: root.secretKey.reveal() },
      },
      heard: (news) => store.heard(news),
      log,
    });
    closing.push(() => workers.stop(DRAIN_MS));
    telling = (news) => workers.tell(news);
    const admin = await serveAdmin({
      ...{ dataDir: config.dataDir, engine, identities: engine.identities, settings, log },
      rootAccessKey: root.accessKey,
    });
    closing.push(() => admin.close());
    const health = await serveMetrics(config, log, { store, workers, damage });
    closing.push(async () => health?.close());
    closing.push(runLifecycle(config, store, settings, log));
    const s3Endpoint = `${config.tlsCert ? "https" : "http"}://${hostOf(config.s3Listen)}:${workers.ready.port}`;
    await claim.announce({ s3Endpoint, adminSocket: admin.socketPath, adminTokenFile: admin.tokenFile });
    log.info(`ready on ${s3Endpoint}`);
    tellParent({ type: "ready" });
    const why = await Promise.race([stopped, store.ended]);
    if (why instanceof Error) throw new StorageError("internal", `the object writer ended: ${messageOf(why)}`);
    log.info("draining");
  } finally {
    for (const close of closing.reverse()) await close();
    // The channel to `granary up` would keep this process alive.
    if (process.connected) process.disconnect();
  }
}

const hostOf = (address: string) => address.slice(0, address.lastIndexOf(":"));

function startOf(config: Config, settings: GatewaySettings): Omit<WorkerStart, "root" | "engine"> {
  return {
    listen: {
      host: hostOf(config.s3Listen).replace(/^\[(.*)\]$/, "$1"),
      port: Number(config.s3Listen.slice(config.s3Listen.lastIndexOf(":") + 1)),
      tls: config.tlsCert ? { cert: pem("tlsCert", config.tlsCert), key: pem("tlsKey", config.tlsKey) } : null,
      stallMs: config.stallMs,
    },
    settings,
    trustedProxies: config.trustedProxies,
    logLevel: config.logLevel,
    crashAt: config.crashAt,
  };
}

function pem(key: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw invalid(`config: ${key}: ${path} cannot be read: ${messageOf(error)}`);
  }
}

function tellParent(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}

/** Settles when `granary up`, which started this process, is gone; never where a person did. */
function parentGone(): Promise<void> {
  return new Promise((resolve) => {
    if (process.send !== undefined && !process.connected) resolve();
    else process.once("disconnect", () => resolve());
  });
}

/** The figures of all workers, those that ended included, beside this process's own. */
async function serveMetrics(
  config: Config,
  log: Logger,
  parts: {
    store: SupervisorEngine;
    workers: WorkerProcesses<WorkerAnswer>;
    /** What a scrub found, which runs in this process. */
    damage: { readonly found: number };
  },
): Promise<HealthServer | null> {
  const { store, workers, damage } = parts;
  const own = openMetrics();
  let before: RequestFigures = addFigures([]);
  workers.onEnded((pid, last) => {
    store.processEnded(pid);
    if (last) before = addFigures([before, { ...last, connections: 0 }]);
  });
  const metrics = {
    async text() {
      const { contentType, body } = await own.text();
      const here = { operations: {}, damaged: damage.found, connections: 0 };
      const requests = figuresText(addFigures([before, here, ...(await workers.ask(ASK_MS))]));
      return { contentType, body: body + requests + (await store.metricsText(ASK_MS)) };
    },
  };
  process.on("message", (message: ParentMessage) => {
    if (message.type === "metrics") void metrics.text().then(({ body }) => tellParent({ type: "metrics", text: body }));
  });
  return openHealth(config, log, metrics, () =>
    store.engine.probe({ signal: AbortSignal.timeout(ASK_MS), requestId: "readyz", log }),
  );
}

function runLifecycle(config: Config, store: SupervisorEngine, settings: GatewaySettings, log: Logger) {
  return every(config.lifecycleIntervalMs, async (signal) => {
    try {
      await store.alone({ signal, requestId: "lifecycle", log }, "lifecycle", async (ctx) => {
        const counts = await lifecycleRound(ctx, store.engine, settings, Date.now());
        log.debug({ ...counts }, "lifecycle round");
      });
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, "lifecycle round failed");
    }
  });
}
