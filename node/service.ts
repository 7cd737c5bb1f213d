import type { Logger } from "pino";
import type { AttacherSet } from "../src/engines/attacher-set.js";
import { loopAttacher } from "../src/engines/local/attacher.js";
import { classifyToolFailure } from "../src/engines/local/tool-failure.js";
import type { Context } from "../src/engines/types.js";
import type { Exec } from "../src/os/exec.js";
import { KeyedLock } from "../src/runtime/keyed-lock.js";
import type { NodeEnvironment } from "./environment.js";
import { ephemeralImage } from "./ephemeral.js";
import { expandVolume } from "./expand-volume.js";
import { getCapabilities } from "./get-capabilities.js";
import { getInfo } from "./get-info.js";
import { getVolumeStats } from "./get-volume-stats.js";
import { interruptions } from "./interruption.js";
import { nodeState } from "./node-state.js";
import { publishVolume } from "./publish-volume.js";
import { healLeftovers, recoverInterrupted } from "./recover.js";
import { stageVolume } from "./stage-volume.js";
import { unpublishVolume } from "./unpublish-volume.js";
import { unstageVolume } from "./unstage-volume.js";

export interface NodeOptions {
  nodeId: string;
  /** The engines' halves on this host. */
  attachers: AttacherSet;
  /** The node's own records, and its ephemeral volumes. */
  stateDir: string;
  exec: Exec;
}

type Handler<Request, Response> = (ctx: Context, request: Request) => Promise<Response>;

function environmentOf(options: NodeOptions): NodeEnvironment {
  const lock = new KeyedLock();
  const marks = interruptions(options.stateDir);
  return {
    nodeId: options.nodeId,
    stateDir: options.stateDir,
    exec: options.exec,
    attacherOf: (volumeId) => options.attachers.forId(volumeId),
    ephemeral: loopAttacher(options.exec, ({ volumeId }) => ({
      volumeId,
      image: ephemeralImage(options.stateDir, volumeId),
    })),
    state: nodeState(options.stateDir),
    interruptions: marks,
    exclusive: (volumeId, operation, work) => lock.run([volumeId], operation, () => marks.guard(volumeId, work)),
  };
}

/** What a node does before it serves: finishes or undoes what a crash cut off. */
export async function recoverNode(options: NodeOptions, log: Logger): Promise<void> {
  const env = environmentOf(options);
  await recoverInterrupted(env, log);
  await healLeftovers(env, options.attachers, log);
}

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
