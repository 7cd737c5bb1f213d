import type { Logger } from "pino";
import { messageOf } from "../../errors/storage-error.js";
import { step } from "../../runtime/steps.js";
import { emptyTrash, moveToTrash, putBack } from "./image.js";
import { type Pool, snapshotDir, volumeDir } from "./pool.js";
import { type Intent, intentKey, type Registry } from "./registry.js";

export interface Removal {
  registry: Registry;
  pool: Pool;
  log: Logger;
}

/** Deletes the volume, or goes on with a delete that was interrupted: each step may have been taken already. */
export async function deleteVolume({ registry, pool, log }: Removal, id: string): Promise<void> {
  const intent: Intent = { op: "delete-volume", volumeId: id };
  const volume = registry.volume(id);
  if (volume) {
    await registry.begin(intent);
    step("delete-volume/intended");
    await moveAll({ registry, pool, log }, intent, [{ id, dir: volumeDir(pool, id) }]);
    step("delete-volume/moved");
    await registry.forgetVolume(volume);
    step("delete-volume/forgotten");
  }
  await emptyTrash(pool, id);
  step("delete-volume/removed");
  await registry.end(intentKey(intent));
  step("delete-volume/ended");
}

/** Deletes the snapshots, and the group that they are the members of; or goes on with that. */
export async function deleteSnapshots({ registry, pool, log }: Removal, ids: readonly string[]): Promise<void> {
  const intent: Intent = { op: "delete-snapshots", snapshotIds: ids };
  const snapshots = ids.flatMap((id) => registry.snapshot(id) ?? []);
  if (snapshots[0]) {
    const group = registry.group(snapshots[0].groupId) ?? null;
    await registry.begin(intent);
    step("delete-snapshots/intended");
    await moveAll(
      { registry, pool, log },
      intent,
      snapshots.map(({ id }) => ({ id, dir: snapshotDir(pool, id) })),
    );
    step("delete-snapshots/moved");
    await registry.forgetSnapshots(snapshots, group);
    step("delete-snapshots/forgotten");
  }
  for (const id of ids) await emptyTrash(pool, id);
  step("delete-snapshots/removed");
  await registry.end(intentKey(intent));
  step("delete-snapshots/ended");
}

// A pool that cannot be written to refuses a move: then all is put back, nothing is deleted, and nothing is to be finished.
async function moveAll({ registry, pool, log }: Removal, intent: Intent, what: readonly { id: string; dir: string }[]) {
  try {
    for (const { id, dir } of what) await moveToTrash(pool, dir, id);
  } catch (error) {
    try {
      for (const { id, dir } of what) await putBack(pool, dir, id);
      await registry.end(intentKey(intent));
    } catch (undoing) {
      // The intent stays: a repeated delete or a restart finishes it.
      log.error({ intent: intent.op, error: messageOf(undoing) }, "a failed delete could not be undone");
    }
    throw error;
  }
}
