import type { Logger } from "pino";
import type { Attacher, Device } from "../src/engines/attacher.js";
import type { AttacherSet } from "../src/engines/attacher-set.js";
import type { Context } from "../src/engines/types.js";
import { messageOf } from "../src/errors/storage-error.js";
import { isOurs } from "../src/model/volume-id.js";
import { listMounts } from "../src/os/mount.js";
import type { NodeEnvironment } from "./environment.js";
import { isEphemeralId, removeEphemeral } from "./ephemeral.js";
import type { NodeVolume } from "./node-state.js";
import { liveStages, liveTargets, presenceOf, refOf } from "./truth.js";
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
      const ctx: Context = { signal: AbortSignal.timeout(RECOVER_MS), requestId: "recover", log };
      if (isEphemeralId(volumeId)) await settleEphemeral(env, ctx, volumeId);
      else if (isOurs(volumeId, "v")) await settleVolume(env, ctx, volumeId);
      await env.interruptions.clear(volumeId);
    } catch (error) {
      log.error({ volumeId, error: messageOf(error) }, "the volume could not be settled; run granary doctor");
    }
  }
}

/** What a crash left of volumes that no record names: each engine knows its own. */
export async function healLeftovers(env: NodeEnvironment, attachers: AttacherSet, log: Logger): Promise<void> {
  const known = (await env.state.all()).map((volume) => ({
    ref: refOf(volume.volumeId, volume),
    identity: volume.identity,
  }));
  const ctx: Context = { signal: AbortSignal.timeout(RECOVER_MS), requestId: "recover", log };
  await attachers.heal(ctx, known).catch((error: unknown) => {
    log.error({ error: messageOf(error) }, "what a crash left on this node could not be looked at; run granary doctor");
  });
}

async function settleVolume(env: NodeEnvironment, ctx: Context, volumeId: string): Promise<void> {
  const attacher = env.attacherOf(volumeId);
  const recorded = await env.state.read(volumeId);
  const presence = await presenceOf(attacher, ctx, refOf(volumeId, recorded), recorded);
  const volume: NodeVolume | undefined = recorded && {
    ...recorded,
    stages: await liveStages(recorded, presence),
    targets: await liveTargets(recorded, presence),
  };
  for (const target of Object.keys(recorded?.targets ?? {})) if (!volume?.targets[target]) await removeTarget(target);
  await detachUnused(ctx, attacher, volume, presence.devices);
  if (volume) await env.state.write(volume);
}

async function detachUnused(
  ctx: Context,
  attacher: Attacher,
  volume: NodeVolume | undefined,
  devices: readonly Device[],
): Promise<void> {
  if (attacher.type !== "device") return;
  const places = [...Object.values(volume?.stages ?? {}), ...Object.values(volume?.targets ?? {})];
  // A mounted device is kept in any case; a raw one is known to be in use by its record alone.
  const needed = (device: Device) =>
    places.some((place) => (place.access === "block" ? place.readonly === device.readonly : !device.readonly));
  await attacher.detach(
    ctx,
    devices.filter((device) => !needed(device)),
  );
}

/** Kubelet was told nothing of a publish that was cut off, and asks again for an unpublish that was. */
async function settleEphemeral(env: NodeEnvironment, ctx: Context, volumeId: string): Promise<void> {
  const devices = await env.ephemeral.devices(ctx, refOf(volumeId, undefined), undefined);
  const mounts = await listMounts();
  if (mounts.some((entry) => devices.some(({ device }) => device === entry.source))) return;
  await env.ephemeral.detach(ctx, devices);
  await removeEphemeral(env, volumeId);
}
