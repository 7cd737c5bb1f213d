import type { EngineSet } from "../src/engines/engine-set.js";
import type { Context, VolumeEngine } from "../src/engines/types.js";
import { notFound } from "../src/errors/storage-error.js";
import type { Snapshot, Volume } from "../src/model/volume.js";
import type { KeyedLock } from "../src/runtime/keyed-lock.js";

export const TOPOLOGY_KEY = "topology.csi.granary.dev/host";

/** What every controller RPC is built from. */
export interface ControllerDeps {
  engines: EngineSet;
  locks: KeyedLock;
}

/** @throws StorageError not-found, naming the field where one is given */
export async function findVolume(
  deps: ControllerDeps,
  ctx: Context,
  id: string,
  field = "",
): Promise<{ engine: VolumeEngine; volume: Volume }> {
  const engine = deps.engines.forId(id);
  const volume = await engine?.get(ctx, id);
  if (!engine || !volume) throw notFound(`${field === "" ? "" : `${field}: `}volume ${id} does not exist`);
  return { engine, volume };
}

/** @throws StorageError not-found, naming the field where one is given */
export async function findSnapshot(
  deps: ControllerDeps,
  ctx: Context,
  id: string,
  field = "",
): Promise<{ engine: VolumeEngine; snapshot: Snapshot }> {
  const engine = deps.engines.forId(id);
  const snapshot = await engine?.getSnapshot(ctx, id);
  if (!engine || !snapshot) throw notFound(`${field === "" ? "" : `${field}: `}snapshot ${id} does not exist`);
  return { engine, snapshot };
}
