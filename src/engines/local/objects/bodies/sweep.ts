import { opendir } from "node:fs/promises";
import { join } from "node:path";
import { removeIfEmpty, syncGeneration } from "./collector.js";
import { diskFailure, isMissing, removeFile } from "./disk.js";
import { generationPath } from "./generation-folders.js";
import { BODIES_PER_GENERATION, type BodyId, type BodyRecords } from "./types.js";

export interface Swept {
  readonly kept: number;
  readonly removed: number;
}

/**
 * Removes from a generation's folder what metadata has no record of. For open generations whose process has ended and
 * whose last commits are in; when this settles the generation may be sealed. Running it twice does no harm.
 *
 * @throws StorageError when the disk refuses: leave the generation open. A file that cannot be removed keeps no other.
 */
export async function sweepGeneration(dir: string, generation: number, records: BodyRecords): Promise<Swept> {
  const folder = generationPath(dir, generation);
  let kept = 0;
  let removed = 0;
  let failure: unknown;
  try {
    for await (const { name } of await opendir(folder)) {
      const bodyId = bodyIdOf(generation, name);
      if (bodyId !== undefined && records.has(bodyId)) {
        kept++;
        continue;
      }
      try {
        await removeFile(join(folder, name));
        removed++;
      } catch (error) {
        failure ??= error;
      }
    }
    await syncGeneration(dir, generation);
    if (failure !== undefined) throw failure;
  } catch (error) {
    // The process ended between the lease and the folder, or an earlier sweep was at its end.
    if (isMissing(error)) return { kept: 0, removed: 0 };
    throw diskFailure(error, `sweeping generation ${generation}`);
  }
  if (kept === 0) await removeIfEmpty(dir, generation);
  return { kept, removed };
}

/** The body that a file of this name is, or undefined: then nothing of ours made it. */
function bodyIdOf(generation: number, name: string): BodyId | undefined {
  if (!/^[0-9a-f]{3}$/.test(name)) return undefined;
  return generation * BODIES_PER_GENERATION + Number.parseInt(name, 16);
}
