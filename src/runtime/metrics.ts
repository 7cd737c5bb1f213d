import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** Told of every RPC: at its start, and by what it returns at its end. `code` is gRPC's name: OK, NOT_FOUND ... */
export type RpcObserver = (method: string) => (code: string) => void;

/** What the pool holds at the moment of a scrape. */
export interface PoolFigures {
  totalBytes: bigint;
  freeBytes: bigint;
  committedBytes: bigint;
  allocatedBytes: bigint;
  volumes: number;
  snapshots: number;
}

export interface Metrics {
  observeRpc: RpcObserver;
  /** Told of every child process: at its start, and by what it returns at its end. */
  observeProcess: (program: string) => (failed: boolean) => void;
  /** Prometheus's text format, with its content type. */
  text(): Promise<{ contentType: string; body: string }>;
}

// From a Probe's fraction of a millisecond to a copy of extents that takes minutes.
const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** One process's metrics, in a registry of their own. `pool` is asked at each scrape; without one there are no pool gauges. */
export function openMetrics(pool?: () => Promise<PoolFigures>): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const rpcSeconds = new Histogram({
    name: "granary_rpc_duration_seconds",
    help: "How long RPCs took, by method and gRPC code",
    labelNames: ["method", "code"],
    buckets: BUCKETS_S,
    registers,
  });
  const rpcTotal = new Counter({
    name: "granary_rpc_total",
    help: "RPCs that ended, by method and gRPC code",
    labelNames: ["method", "code"],
    registers,
  });
  const inFlight = new Gauge({
    name: "granary_rpc_in_flight",
    help: "RPCs that are running, by method",
    labelNames: ["method"],
    registers,
  });
  const processSeconds = new Histogram({
    name: "granary_child_process_duration_seconds",
    help: "How long the programs that Granary starts took, by program and outcome",
    labelNames: ["program", "outcome"],
    buckets: BUCKETS_S,
    registers,
  });
  const refreshPool = pool ? registerPool(registry, pool) : async () => undefined;
  return {
    observeRpc(method) {
      const startMs = performance.now();
      inFlight.inc({ method });
      return (code) => {
        inFlight.dec({ method });
        rpcTotal.inc({ method, code });
        rpcSeconds.observe({ method, code }, (performance.now() - startMs) / 1000);
      };
    },
    observeProcess(program) {
      const startMs = performance.now();
      return (failed) =>
        processSeconds.observe({ program, outcome: failed ? "failed" : "ok" }, (performance.now() - startMs) / 1000);
    },
    async text() {
      await refreshPool();
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** Answers a function that sets the gauges; it is called before each scrape. */
function registerPool(registry: Registry, pool: () => Promise<PoolFigures>): () => Promise<void> {
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `granary_pool_${name}`, help, registers: [registry] });
  const readable = gauge("readable", "1 if the pool's figures could be read at this scrape");
  const gauges: Record<keyof PoolFigures, Gauge> = {
    totalBytes: gauge("total_bytes", "The pool's size"),
    freeBytes: gauge("free_bytes", "The pool's free space"),
    committedBytes: gauge("committed_bytes", "What the volumes may grow to take, all together"),
    allocatedBytes: gauge("allocated_bytes", "What images take; an extent that several share counts in each"),
    volumes: gauge("volumes", "Volumes in the registry"),
    snapshots: gauge("snapshots", "Snapshots in the registry"),
  };
  return async () => {
    const figures = await pool().catch(() => undefined);
    readable.set(figures ? 1 : 0);
    for (const [key, target] of Object.entries(gauges)) {
      // Old figures would look true: without new ones there are none.
      if (figures) target.set(Number(figures[key as keyof PoolFigures]));
      else target.remove();
    }
  };
}
