import { readU64 } from "../codec.js";
import { sequenceKey } from "../keys.js";
import type { Operations } from "../protocol.js";
import type { Store } from "./store.js";

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

export function forgetGarbage(store: Store, { bodyIds }: Operations["forgetGarbage"]["request"]): null {
  for (const id of bodyIds) store.tables.garbage.removeSync(sequenceKey(id));
  return null;
}
