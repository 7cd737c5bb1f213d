import { Command } from "commander";
import { trustedProxies } from "../../objectstore/http/client-address.js";
import type { RequestFigures } from "../../objectstore/http/request-metrics.js";
import { RequestMetrics } from "../../objectstore/http/request-metrics.js";
import { type GatewayServer, type ListenOptions, listenS3 } from "../../objectstore/http/server.js";
import { Router } from "../../objectstore/routing/route.js";
import { ROUTES } from "../../objectstore/routing/table.js";
import type { GatewaySettings } from "../../objectstore/types.js";
import type { Config } from "../config/config.js";
import { openLog } from "../runtime/log.js";
import { crashAtStep } from "../runtime/steps.js";
import { serveAsWorker } from "../runtime/worker-processes.js";
import { type GatewayNews, type OpenWorkerEngine, openWorkerEngine, type WorkerEngine } from "./objectstore-engine.js";

export const WORKER_COMMAND = "objectstore-worker";

/** Everything that a worker is told. */
export interface WorkerStart {
  readonly engine: WorkerEngine;
  readonly listen: ListenOptions;
  readonly settings: GatewaySettings;
  readonly root: { readonly accessKey: string; readonly secretKey: string };
  readonly trustedProxies: readonly string[];
  readonly logLevel: string;
  readonly crashAt: Config["crashAt"];
}

export interface WorkerReady {
  readonly port: number;
}

export type WorkerAnswer = RequestFigures;

const DRAIN_MS = 25_000;

/** Serves S3 in one of several processes; started by `granary objectstore`, and by nobody else. */
export function objectstoreWorkerCommand(): Command {
  return new Command(WORKER_COMMAND).action(() => {
    const metrics = new RequestMetrics();
    let server: GatewayServer | undefined;
    let open: OpenWorkerEngine | undefined;
    const { tell } = serveAsWorker<WorkerStart, WorkerReady, WorkerAnswer, GatewayNews>({
      async start(start) {
        if (start.crashAt !== "") crashAtStep(start.crashAt);
        const log = openLog({ level: start.logLevel, role: "s3" });
        const told = { changed: (news: GatewayNews) => tell(news) };
        open = await openWorkerEngine(start.engine, { log, told, onDamaged: () => metrics.damaged() });
        const { engine } = open;
        const gateway = {
          engine,
          identities: engine.identities,
          router: new Router(ROUTES),
          settings: start.settings,
          root: { accessKey: start.root.accessKey, secret: start.root.secretKey, userId: start.settings.rootUserId },
          trustedProxies: trustedProxies(start.trustedProxies),
          metrics,
          log,
        };
        server = await listenS3(gateway, start.listen);
        return { port: server.port };
      },
      answer: () => metrics.figures(),
      heard: async (news) => open?.heard(news),
      async drain() {
        await server?.drain(DRAIN_MS);
        await open?.engine.close();
      },
    });
  });
}
