import type { Logger } from "pino";
import { detachImage } from "../src/engines/local/attacher.js";
import { messageOf } from "../src/errors/storage-error.js";
import { isOurs } from "../src/model/volume-id.js";
import type { Loop } from "../src/os/loop.js";
import { listMounts } from "../src/os/mount.js";
import type { NodeEnvironment } from "./environment.js";
import { ephemeralImage, isEphemeralId, removeEphemeral } from "./ephemeral.js";
import type { NodeVolume } from "./node-state.js";
import { currentLoops, imageOf, liveStages, liveTargets } from "./truth.js";
import { removeTarget } from "./unpublish-volume.js";

const RECOVER_MS = 60_000;

/**
 * Settles each volume on which a crash cut an operation off, before the node serves. What the kernel shows is kept; what
 * is recorded and not there is forgotten, and a device that nothing uses is detached. The call's repetition then either
 * finds its work done or does it anew. One volume's failure leaves its mark, and does not keep the others from service.
 */
export async function recoverInterrupted(env: NodeEnvironment, log: Logger): Promise<void> {
  for (const volumeId of await env.interruptions.list()) {
    try {
      log.warn({ volumeId }, "a node operation was cut off: settling its volume");
      const signal = AbortSignal.timeout(RECOVER_MS);
      if (isEphemeralId(volumeId)) await settleEphemeral(env, signal, volumeId);
      else if (isOurs(volumeId, "v")) await settleVolume(env, signal, volumeId);
      await env.interruptions.clear(volumeId);
    } catch (error) {
      log.error({ volumeId, error: messageOf(error) }, "the volume could not be settled; run granary doctor");
    }
  }
}

async function settleVolume(env: NodeEnvironment, signal: AbortSignal, volumeId: string): Promise<void> {
  const recorded = await env.state.read(volumeId);
  const image = recorded?.image ?? imageOf(env, volumeId);
  const loops = await currentLoops(env, signal, recorded, image);
  const volume: NodeVolume | undefined = recorded && {
    ...recorded,
    stages: await liveStages(recorded, loops),
    targets: await liveTargets(recorded, loops),
  };
  for (const target of Object.keys(recorded?.targets ?? {})) if (!volume?.targets[target]) await removeTarget(target);
  await detachUnused(env, signal, volume, loops);
  if (volume) await env.state.write(volume);
}

async function detachUnused(
  env: NodeEnvironment,
  signal: AbortSignal,
  volume: NodeVolume | undefined,
  loops: readonly Loop[],
): Promise<void> {
  const places = [...Object.values(volume?.stages ?? {}), ...Object.values(volume?.targets ?? {})];
  // A mounted device is kept in any case; a raw one is known to be in use by its record alone.
  const needed = (loop: Loop) =>
    places.some((place) => (place.access === "block" ? place.readonly === loop.readonly : !loop.readonly));
  for (const identity of new Set(loops.map((loop) => loop.identity)))
    await detachImage(env.exec, signal, identity, (loop) => !needed(loop));
}

/** Kubelet was told nothing of a publish that was cut off, and asks again for an unpublish that was. */
async function settleEphemeral(env: NodeEnvironment, signal: AbortSignal, volumeId: string): Promise<void> {
  const loops = await currentLoops(env, signal, undefined, ephemeralImage(env, volumeId));
  const mounts = await listMounts();
  if (mounts.some((entry) => loops.some((loop) => loop.device === entry.source))) return;
  for (const identity of new Set(loops.map((loop) => loop.identity))) await detachImage(env.exec, signal, identity);
  await removeEphemeral(env, volumeId);
}
