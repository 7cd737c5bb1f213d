import type { Logger } from "pino";
import type { Config } from "../config/config.js";
import { messageOf, StorageError } from "../errors/storage-error.js";
import { qualifiedName } from "../manifests/kinds.js";
import { openObjectStore } from "../manifests/object-store.js";
import { reconcile } from "../manifests/reconcile.js";
import { CsiClient } from "../runtime/csi-client.js";

const TIMEOUT_MS = 120_000;

/**
 * Gives the pods of a data dir their volumes again after a restart of the host, and finishes what a command that was
 * killed left, in the background and by the same code as `granary apply`: over this server's own socket, under the
 * objects' lock. What cannot be done is logged; the next `granary apply` tries again.
 *
 * @returns what stops it, wherever it is
 */
export function resumeObjects(config: Config, log: Logger): () => Promise<void> {
  const stopped = new AbortController();
  const running = resume(config, log, stopped.signal).catch((error: unknown) => {
    if (!stopped.signal.aborted) log.warn(`objects could not be resumed: ${messageOf(error)}`);
  });
  return async () => {
    stopped.abort(new StorageError("cancelled", "the server stops"));
    await running;
  };
}

async function resume({ dataDir, csiEndpoint }: Config, log: Logger, signal: AbortSignal): Promise<void> {
  if (!(await hasWork(dataDir))) return;
  const onWait = (message: string) => log.info(`objects are resumed later: ${message}`);
  // A command that holds the lock does the same work; this is for what it leaves.
  const store = await openObjectStore(dataDir, { lock: true, timeoutMs: Number.POSITIVE_INFINITY, onWait, signal });
  const csi = new CsiClient(csiEndpoint);
  try {
    const progress = (line: string) => log.debug(line);
    const { failed, waiting } = await reconcile(store, csi, { dataDir, timeoutMs: TIMEOUT_MS, signal, progress });
    for (const { object, message } of failed) log.warn(`${qualifiedName(object)}: ${message}`);
    for (const { object, message } of waiting) log.info(`${qualifiedName(object)} waits: ${message}`);
    const pods = store.list("Pod");
    const running = pods.filter((pod) => pod.status.phase === "Running");
    const stuck = new Set(failed.map(({ object }) => object.metadata.uid));
    const ready = running.filter((pod) => !stuck.has(pod.metadata.uid)).length;
    log.info(`objects resumed: ${ready} of ${pods.length} pods have their volumes`);
  } finally {
    csi.close();
    await store.close();
  }
}

/** Only a pod needs something after a restart, and only what is not settled yet needs something after a kill. */
async function hasWork(dataDir: string): Promise<boolean> {
  const store = await openObjectStore(dataDir, { lock: false });
  const kinds = ["Pod", "PersistentVolumeClaim", "PersistentVolume", "VolumeSnapshot", "VolumeGroupSnapshot"] as const;
  return kinds.some((kind) => store.list(kind).length > 0);
}
