import type { NodeGetInfoResponse__Output } from "../../proto/gen/csi/v1/NodeGetInfoResponse.js";
import { StorageError } from "../errors/storage-error.js";
import { CsiCallError } from "../runtime/csi-client.js";
import { detacher } from "./attach.js";
import { attributesModifier } from "./attributes.js";
import { claimBinder, claimProtection } from "./claims.js";
import { volumeReclaimer } from "./delete-volume.js";
import { groupSnapshotRemover, groupSnapshotter } from "./group-snapshots.js";
import type { AnyObject, Kind, ObjectStore } from "./objects.js";
import { podTeardown, podVolumes } from "./pods.js";
import { resizer } from "./resize.js";
import { type Controller, type CsiConnection, type ReconcileOptions, Session } from "./session.js";
import { snapshotRemover, snapshotter } from "./snapshots.js";

export type { ReconcileOptions } from "./session.js";

type Csi = Pick<CsiConnection, "call">;

export interface ReconcileResult {
  waiting: { object: AnyObject; reason: string; message: string }[];
  failed: { object: AnyObject; reason: string; message: string }[];
}

const FIRST_BACKOFF_MS = 50;
const LAST_BACKOFF_MS = 1000;

/**
 * Brings what is there to what the objects ask for, over gRPC alone, in the order and with the arguments of the
 * Kubernetes sidecars and kubelet. Repeats passes over all objects until one changes nothing, so that a run takes up
 * whatever an earlier one left unfinished, at any point.
 *
 * @throws StorageError when the server cannot say which node this is; the signal's reason when it is aborted
 */
export async function reconcile(store: ObjectStore, csi: Csi, options: ReconcileOptions): Promise<ReconcileResult> {
  const session = await openSession(store, csi, options);
  for (let backoffMs = FIRST_BACKOFF_MS; ; ) {
    session.startPass();
    await pass(session);
    if (session.remainingMs <= 0 || !(session.changed || session.retry)) break;
    if (session.changed) continue;
    await pause(Math.min(backoffMs, session.remainingMs), options.signal);
    backoffMs = Math.min(backoffMs * 2, LAST_BACKOFF_MS);
  }
  return { waiting: session.waiting, failed: session.failed };
}

/** @throws StorageError when the server cannot say which node this is */
export async function openSession(store: ObjectStore, csi: Csi, options: ReconcileOptions): Promise<Session> {
  const info = await nodeInfo(csi, Math.max(options.timeoutMs, 1000));
  const node = { id: info.node_id, topology: info.accessible_topology?.segments ?? {} };
  return new Session(store, csi, options, node);
}

async function nodeInfo(csi: Csi, deadlineMs: number): Promise<NodeGetInfoResponse__Output> {
  try {
    return await csi.call("Node", "NodeGetInfo", {}, deadlineMs);
  } catch (error) {
    if (!(error instanceof CsiCallError)) throw error;
    if (error.code === "UNIMPLEMENTED")
      throw new StorageError(
        "unimplemented",
        "the server has no CSI node service: with granary controller and granary node apart, leave --csi-endpoint out and give their --data-dir",
      );
    throw new StorageError("unavailable", `the server does not answer: ${error.message}`);
  }
}

/** Each step sees what those before it did; a step that is not yet possible waits for a later pass. */
async function pass(session: Session): Promise<void> {
  await each(session, volumeReclaimer);
  await each(session, claimBinder);
  await each(session, attributesModifier);
  await each(session, resizer);
  await each(session, snapshotter);
  await each(session, groupSnapshotter);
  await each(session, podTeardown);
  await each(session, podVolumes);
  await each(session, detacher);
  await each(session, groupSnapshotRemover);
  await each(session, snapshotRemover);
  await each(session, claimProtection);
  await each(session, volumeReclaimer);
}

async function each<K extends Kind>(session: Session, controller: Controller<K>): Promise<void> {
  for (const object of session.store.list(controller.kind)) {
    session.options.signal.throwIfAborted();
    // An earlier step of this pass may have taken it away.
    const { namespace, name } = object.metadata;
    const stored = session.store.get(controller.kind, namespace, name);
    if (stored) await session.step(controller, stored);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
