import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Exec } from "../../os/exec.js";
import { thawImages } from "./cut.js";
import { placeVolume, removeImage, resizeImage } from "./image.js";
import { imageIn, newDir, type Pool, snapshotDir, volumeDir } from "./pool.js";
import type { Intent, Registry } from "./registry.js";
import { deleteSnapshots, deleteVolume } from "./removal.js";

/**
 * Rolls every intent that a crash left forward or back, and settles the volumes that were being made. Each step may be repeated:
 * a crash here is recovered too.
 */
export async function recover(registry: Registry, pool: Pool, exec: Exec, log: Logger): Promise<void> {
  for (const { key, intent } of registry.intents()) {
    log.warn({ intent: intent.op }, "finishing what was interrupted");
    await settle(registry, pool, exec, log, intent, key);
  }
  for (const id of await readdir(join(pool.dir, "new"))) {
    log.warn({ volumeId: id }, "settling a volume that was being made");
    if (registry.volume(id)) await placeVolume(pool, id);
    else await removeImage(newDir(pool, id));
  }
}

async function settle(
  registry: Registry,
  pool: Pool,
  exec: Exec,
  log: Logger,
  intent: Intent,
  key: string,
): Promise<void> {
  const thaw = (ids: readonly string[]) =>
    thawImages(
      log,
      exec,
      ids.map((id) => imageIn(volumeDir(pool, id))),
    );
  switch (intent.op) {
    case "copy-volume":
      await thaw([intent.volumeId]);
      return registry.end(key);
    case "delete-volume":
      return deleteVolume({ registry, pool, log }, intent.volumeId);
    case "create-snapshots":
      await thaw(intent.volumeIds);
      for (const id of intent.snapshotIds) await removeImage(snapshotDir(pool, id));
      return registry.end(key);
    case "delete-snapshots":
      return deleteSnapshots({ registry, pool, log }, intent.snapshotIds);
    case "expand-volume": {
      const volume = registry.volume(intent.volumeId);
      const present = await access(imageIn(volumeDir(pool, intent.volumeId))).then(
        () => true,
        () => false,
      );
      if (!volume || !present) return registry.end(key);
      const ctx = { signal: new AbortController().signal, requestId: "recovery", log };
      await resizeImage(ctx, exec, volumeDir(pool, volume.id), intent.capacityBytes, volume.provisioning === "thick");
      return registry.putVolume({ ...volume, capacityBytes: intent.capacityBytes }, key);
    }
  }
}
