import { refused } from "../../../../errors/storage-error.js";
import { generationOf } from "../bodies/types.js";
import { readU64 } from "../codec.js";
import { sequenceKey } from "../keys.js";
import type { Operations } from "../protocol.js";
import type { Store } from "./store.js";

/** In place of the process of a generation: none has it any more. */
const NOBODY = 0;

const NEXT_GENERATION = Buffer.from("nextGeneration");

/** A folder for one process's body files, recorded as open before anything can lie in it. Never the same one twice. */
export function lease(store: Store, { pid }: Operations["lease"]["request"]): number {
  const { state, generations } = store.tables;
  const stored = state.getBinaryFast(NEXT_GENERATION);
  const generation = stored ? readU64(stored, 0) : 1;
  state.putSync(NEXT_GENERATION, sequenceKey(generation + 1));
  generations.putSync(sequenceKey(generation), sequenceKey(pid));
  return generation;
}

export function seal(store: Store, { generation }: Operations["seal"]["request"]): null {
  store.tables.generations.removeSync(sequenceKey(generation));
  return null;
}

export function beginSweep(store: Store, { generation }: Operations["beginSweep"]["request"]): null {
  const { generations } = store.tables;
  const key = sequenceKey(generation);
  if (generations.doesExist(key)) generations.putSync(key, sequenceKey(NOBODY));
  return null;
}

/**
 * A process that was taken for ended, and was not, may not name a file that the sweep removed meanwhile.
 *
 * @throws StorageError busy where the body's generation is not open
 */
export function checkOpen(store: Store, bodyId: number): void {
  const process = store.tables.generations.getBinaryFast(sequenceKey(generationOf(bodyId)));
  if (process === undefined || readU64(process, 0) === NOBODY)
    throw refused("busy", "the process that stored the body was taken for ended; try again");
}

export function forgetGarbage(store: Store, { bodyIds }: Operations["forgetGarbage"]["request"]): null {
  for (const id of bodyIds) store.tables.garbage.removeSync(sequenceKey(id));
  return null;
}
