import { Command } from "commander";
import { trustedProxies } from "../../objectstore/http/client-address.js";
import type { RequestFigures } from "../../objectstore/http/request-metrics.js";
import { RequestMetrics } from "../../objectstore/http/request-metrics.js";
import { type GatewayServer, type ListenOptions, listenS3 } from "../../objectstore/http/server.js";
import { Router } from "../../objectstore/routing/route.js";
import { ROUTES } from "../../objectstore/routing/table.js";
import type { GatewaySettings } from "../../objectstore/types.js";
import type { Config } from "../config/config.js";
import { type LocalObjectEngine, openObjectEngine } from "../engines/local/objects/index.js";
import { openLog } from "../runtime/log.js";
import { crashAtStep } from "../runtime/steps.js";
import { serveAsWorker } from "../runtime/worker-processes.js";

export const WORKER_COMMAND = "objectstore-worker";

/** Everything that a worker is told. */
export interface WorkerStart {
  readonly dir: string;
  readonly inlineBytes: number | undefined;
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
    let engine: LocalObjectEngine | undefined;
    serveAsWorker<WorkerStart, WorkerReady, WorkerAnswer>({
      async start(start) {
        if (start.crashAt !== "") crashAtStep(start.crashAt);
        const log = openLog({ level: start.logLevel, role: "s3" });
        engine = await openObjectEngine({
          dir: start.dir,
          log,
          onDamaged: () => metrics.damaged(),
          ...(start.inlineBytes === undefined ? {} : { inlineBytes: start.inlineBytes }),
        });
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
      async drain() {
        await server?.drain(DRAIN_MS);
        await engine?.close();
      },
    });
  });
}
