import { join } from "node:path";
import type { Logger } from "pino";
import type { PlainPair } from "../../objectstore/root-credentials.js";
import type { Config } from "../config/config.js";
import type { S3UpstreamConfig } from "../config/s3-upstream.js";
import type { IdentityStore } from "../engines/identity-store.js";
import { openObjectEngine, startObjectWriter } from "../engines/local/objects/index.js";
import type { ObjectEngine } from "../engines/object-engine.js";
import { openUpstreamEngine } from "../engines/s3/engine.js";
import type { StateChange, Told } from "../engines/s3/state/told.js";
import type { Context } from "../engines/types.js";

/** What a worker opens: plain values, sent to it. */
export type WorkerEngine =
  | { readonly kind: "local"; readonly dir: string; readonly inlineBytes: number | undefined }
  | { readonly kind: "s3"; readonly settings: UpstreamPlain };

type UpstreamPlain = Omit<S3UpstreamConfig, "secretKey"> & { readonly secretKey: string };

/** What the processes of one gateway tell each other. */
export type GatewayNews = StateChange;

/** The engine as the supervisor has it. */
export interface SupervisorEngine {
  readonly engine: ObjectEngine & { readonly identities: IdentityStore };
  readonly workers: WorkerEngine;
  /** Settles, with why, when nothing can be written any more. */
  readonly ended: Promise<Error>;
  processEnded(pid: number): void;
  /** Lines of metrics of the engine's own. */
  metricsText(timeoutMs: number): Promise<string>;
  /** Of a store that many gateways serve: the root user's pair that all of them use. */
  readonly agreeOnRoot?: (own: PlainPair) => Promise<PlainPair>;
  /** Does lifecycle work unless another gateway is at it. */
  alone(ctx: Context, name: string, work: (ctx: Context) => Promise<void>): Promise<void>;
  heard(news: GatewayNews): Promise<void>;
  close(): Promise<void>;
}

export interface SupervisorOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly onDamaged: () => void;
  /** Tells the workers, once there are any. */
  readonly tell: (news: GatewayNews) => Promise<void>;
}

/** @throws StorageError what the engine's opening throws */
export function openSupervisorEngine(options: SupervisorOptions): Promise<SupervisorEngine> {
  return options.config.objectEngine === "s3" ? openUpstream(options) : openLocal(options);
}

async function openLocal({ config, log, onDamaged }: SupervisorOptions): Promise<SupervisorEngine> {
  const dir = join(config.dataDir, "objects");
  const { inlineBytes } = config;
  const writer = await startObjectWriter({ dir, crashAt: config.crashAt });
  const closing: (() => Promise<unknown>)[] = [() => writer.close()];
  const close = async () => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  try {
    const engine = await openObjectEngine({
      dir,
      log,
      onDamaged,
      ...(inlineBytes === undefined ? {} : { inlineBytes }),
    });
    closing.push(() => engine.close());
    const reclaim = engine.reclaim();
    closing.push(() => reclaim.close());
    return {
      engine,
      workers: { kind: "local", dir, inlineBytes },
      ended: writer.ended,
      processEnded: (pid) => reclaim.processEnded(pid),
      metricsText: async () => stuckText(reclaim.stuck),
      alone: (ctx, _name, work) => work(ctx),
      heard: () => Promise.resolve(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const stuckText = (stuck: number) =>
  `# HELP granary_s3_unremoved_files Files of deleted objects, and folders, that could not be removed; they are tried again
# TYPE granary_s3_unremoved_files gauge
granary_s3_unremoved_files ${stuck}
`;

const OPEN_MS = 60_000;

async function openUpstream({ config, log, tell }: SupervisorOptions): Promise<SupervisorEngine> {
  const settings = plain(config.s3Upstream as S3UpstreamConfig);
  const opening = { signal: AbortSignal.timeout(OPEN_MS), requestId: "start", log };
  const engine = await openUpstreamEngine(opening, { settings, told: { changed: tell }, log, first: true });
  return {
    engine,
    workers: { kind: "s3", settings },
    ended: new Promise(() => undefined),
    processEnded: () => undefined,
    metricsText: async (timeoutMs) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const asked = engine.probe({ signal, requestId: "metrics", log });
      return upText(
        await asked.then(
          () => 1,
          () => 0,
        ),
      );
    },
    agreeOnRoot: (own) => engine.agree({ ...opening, signal: AbortSignal.timeout(OPEN_MS) }, "root", own),
    alone: async (ctx, name, work) => {
      if (!(await engine.alone(ctx, name, work))) log.debug(`${name}: another gateway is at it`);
    },
    heard: (news) => engine.heard(hearing(log), news),
    close: () => engine.close(),
  };
}

const upText = (up: number) =>
  `# HELP granary_s3_upstream_up Whether the upstream S3 service answers
# TYPE granary_s3_upstream_up gauge
granary_s3_upstream_up ${up}
`;

export const plain = ({ secretKey, ...rest }: S3UpstreamConfig): UpstreamPlain => ({
  ...rest,
  secretKey: secretKey.reveal(),
});

const HEAR_MS = 1_000;
const hearing = (log: Logger): Context => ({ signal: AbortSignal.timeout(HEAR_MS), requestId: "news", log });

/** The engine in a worker. */
export interface OpenWorkerEngine {
  readonly engine: ObjectEngine & { readonly identities: IdentityStore };
  heard(news: GatewayNews): Promise<void>;
}

export async function openWorkerEngine(
  worker: WorkerEngine,
  options: { log: Logger; told: Told; onDamaged: () => void },
): Promise<OpenWorkerEngine> {
  const { log, told, onDamaged } = options;
  if (worker.kind === "s3") {
    const opening = { signal: AbortSignal.timeout(OPEN_MS), requestId: "start", log };
    const engine = await openUpstreamEngine(opening, { settings: worker.settings, told, log, first: false });
    return { engine, heard: (news) => engine.heard(hearing(log), news) };
  }
  const { dir, inlineBytes } = worker;
  const engine = await openObjectEngine({ dir, log, onDamaged, ...(inlineBytes === undefined ? {} : { inlineBytes }) });
  return { engine, heard: () => Promise.resolve() };
}
