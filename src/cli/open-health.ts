import type { Logger } from "pino";
import type { Config } from "../config/config.js";
import { messageOf } from "../errors/storage-error.js";
import { type HealthServer, serveHealth } from "../runtime/health-http.js";
import type { Metrics } from "../runtime/metrics.js";

/** Null when it is switched off, or when the default address is another server's already: that must not stop a start. */
export async function openHealth(
  config: Config,
  log: Logger,
  metrics: Pick<Metrics, "text">,
  ready: () => Promise<void>,
): Promise<HealthServer | null> {
  if (config.metricsAddress === "") return null;
  try {
    const health = await serveHealth({ address: config.metricsAddress, metrics, ready });
    log.info(`metrics on http://${health.address}/metrics`);
    return health;
  } catch (error) {
    if (config.explicit.has("metricsAddress")) throw error;
    log.warn(`no metrics and probes over HTTP: ${messageOf(error)}`);
    return null;
  }
}
