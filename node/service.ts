import type { Logger } from "pino";
import { classifyToolFailure } from "../src/engines/local/tool-failure.js";
import type { Context } from "../src/engines/types.js";
import type { Exec } from "../src/os/exec.js";
import { KeyedLock } from "../src/runtime/keyed-lock.js";
import type { NodeEnvironment } from "./environment.js";
import { expandVolume } from "./expand-volume.js";
import { getCapabilities } from "./get-capabilities.js";
import { getInfo } from "./get-info.js";
import { getVolumeStats } from "./get-volume-stats.js";
import { interruptions } from "./interruption.js";
import { nodeState } from "./node-state.js";
import { publishVolume } from "./publish-volume.js";
import { recoverInterrupted } from "./recover.js";
import { stageVolume } from "./stage-volume.js";
import { unpublishVolume } from "./unpublish-volume.js";
import { unstageVolume } from "./unstage-volume.js";

export interface NodeOptions {
  nodeId: string;
  /** The pool's folder, whose `volumes/<id>/image` are the images. */
  poolDir: string;
  /** The node's own records, and its ephemeral volumes. */
  stateDir: string;
  exec: Exec;
}

type Handler<Request, Response> = (ctx: Context, request: Request) => Promise<Response>;

function environmentOf(options: NodeOptions): NodeEnvironment {
  const lock = new KeyedLock();
  const marks = interruptions(options.stateDir);
  return {
    ...options,
    state: nodeState(options.stateDir),
    interruptions: marks,
    exclusive: (volumeId, operation, work) => lock.run([volumeId], operation, () => marks.guard(volumeId, work)),
  };
}

/** What a node does before it serves: finishes or undoes what a crash cut off. */
export const recoverNode = (options: NodeOptions, log: Logger) => recoverInterrupted(environmentOf(options), log);

/** The CSI Node service's unary handlers, by RPC name. They throw StorageError, and anything else only by a bug. */
export function nodeHandlers(options: NodeOptions) {
  const env = environmentOf(options);
  const bound =
    <Request, Response>(
      work: (env: NodeEnvironment, ctx: Context, request: Request) => Promise<Response>,
    ): Handler<Request, Response> =>
    (ctx, request) =>
      work(env, ctx, request).catch((error: unknown) => {
        throw classifyToolFailure(error);
      });
  return {
    NodeStageVolume: bound(stageVolume),
    NodeUnstageVolume: bound(unstageVolume),
    NodePublishVolume: bound(publishVolume),
    NodeUnpublishVolume: bound(unpublishVolume),
    NodeGetVolumeStats: bound(getVolumeStats),
    NodeExpandVolume: bound(expandVolume),
    NodeGetCapabilities: bound(getCapabilities),
    NodeGetInfo: bound(getInfo),
  };
}
