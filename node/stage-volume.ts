import type { NodeStageVolumeRequest__Output } from "../proto/gen/csi/v1/NodeStageVolumeRequest.js";
import type { Attacher, Device, DeviceAttacher, FilesystemAttacher, NodeRef } from "../src/engines/attacher.js";
import type { Context } from "../src/engines/types.js";
import { StorageError } from "../src/errors/storage-error.js";
import { type Capability, FS_TYPES, MULTI_NODE } from "../src/model/volume.js";
import { step } from "../src/runtime/steps.js";
import { ensureFilesystem, recordRaw } from "./ensure-filesystem.js";
import type { NodeEnvironment } from "./environment.js";
import { growIfSmaller, makeMountPoint, mountFilesystem } from "./filesystem-mount.js";
import type { NodeVolume, Place } from "./node-state.js";
import { cleanPath } from "./paths.js";
import {
  capabilityDigest,
  capabilityOf,
  isReadonly,
  ownId,
  required,
  type VolumeContext,
  volumeContextOf,
} from "./requests.js";
import { busyPath, lookAt, presenceOf, presenceOfDevices, refOf } from "./truth.js";

const UNDO_MS = 10_000;

/** NodeStageVolume (CSI 1.12): proves the volume, attaches it, formats it if it is proven blank, checks and mounts it. */
export async function stageVolume(
  env: NodeEnvironment,
  ctx: Context,
  request: NodeStageVolumeRequest__Output,
): Promise<object> {
  const volumeId = required(request.volume_id, "volume_id");
  const path = cleanPath("staging_target_path", required(request.staging_target_path, "staging_target_path"));
  const capability = capabilityOf(request.volume_capability);
  ownId(volumeId);
  const context = volumeContextOf(request.volume_context, capability);
  checkCapability(context, capability);
  const attacher = env.attacherOf(volumeId);
  const ref: NodeRef = { volumeId, publishContext: request.publish_context };
  const readonly = request.publish_context.readonly === "true" || isReadonly(capability);
  const place: Place = {
    access: capability.access.type,
    capability: capabilityDigest(capability),
    mode: capability.mode,
    readonly,
  };
  const wanted: Stage = { ref, path, capability, context, place };
  await env.exclusive(volumeId, "NodeStageVolume", async () => {
    step("node-stage/begun");
    const known = await env.state.read(volumeId);
    refuseOtherStage(known, path, place);
    if (attacher.type === "device") await stageDevice(env, ctx, attacher, known, wanted);
    else await stageFilesystem(env, ctx, attacher, known, wanted);
  });
  return {};
}

interface Stage {
  ref: NodeRef;
  path: string;
  capability: Capability;
  context: VolumeContext;
  place: Place;
}

const recordOf = (known: NodeVolume | undefined, { ref, path, place }: Stage, identity: string): NodeVolume => ({
  volumeId: ref.volumeId,
  publishContext: ref.publishContext,
  identity,
  stages: { ...known?.stages, [path]: place },
  targets: known?.targets ?? {},
});

async function stageDevice(
  env: NodeEnvironment,
  ctx: Context,
  attacher: DeviceAttacher,
  known: NodeVolume | undefined,
  stage: Stage,
): Promise<void> {
  const { ref, path, capability, context, place } = stage;
  const { readonly } = place;
  // A block volume that is read-only gets a read-only device; a filesystem's journal must be replayed even then.
  const device = await attacher.attach(ctx, ref, readonly && place.access === "block");
  step("node-stage/attached");
  const volume = recordOf(known, stage, device.identity);
  try {
    if (capability.access.type === "mount") {
      const found = await lookAt(path, presenceOfDevices([device]));
      if (found.type === "other" || found.type === "block") throw busyPath(path);
      if (found.type === "mount" && !readonly) {
        // A stage that was cut off between its mount and its growing is finished by its retry.
        const fsType = FS_TYPES.find((known) => known === found.entry.fsType);
        if (fsType)
          await growIfSmaller(env.exec, ctx.signal, {
            device: device.device,
            mountPoint: path,
            fsType,
            deviceBytes: device.sizeBytes,
          });
      }
      if (found.type === "nothing") {
        const wish = { ...context, readonly };
        const made = await ensureFilesystem(env.exec, ctx, { attacher, ref }, device.device, wish);
        await env.state.write(volume);
        step("node-stage/recorded");
        const flags = capability.access.mountFlags;
        const what = { device: device.device, deviceBytes: device.sizeBytes };
        await mountFilesystem(env.exec, ctx.signal, { ...what, ...made, path, readonly, flags });
        step("node-stage/mounted");
        return;
      }
    } else if (!readonly) {
      await recordRaw(ctx, { attacher, ref });
    }
    await env.state.write(volume);
  } catch (error) {
    await undoStage(env, ctx, attacher, { volume, known, path, devices: [device] });
    throw error;
  }
}

async function stageFilesystem(
  env: NodeEnvironment,
  ctx: Context,
  attacher: FilesystemAttacher,
  known: NodeVolume | undefined,
  stage: Stage,
): Promise<void> {
  const { ref, path, capability, place } = stage;
  const access = capability.access;
  if (access.type === "block")
    throw new StorageError("failed-precondition", "a shared filesystem volume has no block access");
  const volume = recordOf(known, stage, await attacher.prove(ctx, ref));
  const found = await lookAt(path, await presenceOf(attacher, ctx, ref, volume));
  if (found.type === "other" || found.type === "block") throw busyPath(path);
  // Recorded first: a mount that a crash leaves behind is known to be the volume's by its record alone.
  await env.state.write(volume);
  step("node-stage/recorded");
  if (found.type === "mount") return;
  try {
    await makeMountPoint(path, "folder");
    await attacher.mount(ctx, ref, { path, readonly: place.readonly, flags: access.mountFlags });
    step("node-stage/mounted");
  } catch (error) {
    await undoStage(env, ctx, attacher, { volume, known, path, devices: [] });
    throw error;
  }
}

interface FailedStage {
  volume: NodeVolume;
  known: NodeVolume | undefined;
  path: string;
  devices: readonly Device[];
}

/**
 * A stage that failed is not remembered, or its retry with corrected arguments would be "another capability" for ever.
 * The request's own signal may have fired, so this has one of its own.
 */
async function undoStage(env: NodeEnvironment, ctx: Context, attacher: Attacher, failed: FailedStage): Promise<void> {
  const { volume, known, path, devices } = failed;
  const own = { ...ctx, signal: AbortSignal.timeout(UNDO_MS) };
  try {
    const presence =
      attacher.type === "device"
        ? presenceOfDevices(devices)
        : await presenceOf(attacher, own, refOf(volume.volumeId, volume), volume);
    if ((await lookAt(path, presence)).type === "mount") return;
  } catch {
    // What cannot be looked at is not known to be mounted.
  }
  const before = known ?? { ...volume, stages: {} };
  try {
    if (await env.state.read(volume.volumeId)) await env.state.write(before);
    if (Object.keys(before.stages).length === 0 && attacher.type === "device") {
      const identities = new Set(devices.map(({ identity }) => identity));
      const all = await attacher.devices(own, refOf(volume.volumeId, volume), volume.identity);
      await attacher.detach(
        own,
        all.filter(({ identity }) => identities.has(identity)),
      );
    }
  } catch (cause) {
    ctx.log.warn({ cause }, "undo of a failed stage");
  }
}

function refuseOtherStage(known: NodeVolume | undefined, path: string, place: Place): void {
  for (const [otherPath, other] of Object.entries(known?.stages ?? {})) {
    const samePath = otherPath === path;
    if (samePath && (other.capability !== place.capability || other.readonly !== place.readonly)) {
      throw new StorageError(
        "already-exists",
        `the volume is staged at ${path} with another capability; unstage it first`,
      );
    }
    // Writing to a device beside the filesystem that is mounted from it destroys that filesystem.
    if (!samePath && other.access !== place.access) {
      throw new StorageError(
        "failed-precondition",
        `the volume is staged as ${other.access} at ${otherPath}; unstage it first`,
      );
    }
  }
}

function checkCapability(context: VolumeContext, capability: Capability): void {
  const refuse = (message: string) => new StorageError("failed-precondition", message);
  if (context.kind === "shared" && capability.access.type === "block") {
    throw refuse("a shared filesystem volume has no block access; use volumeMode Filesystem");
  }
  const writers = MULTI_NODE.has(capability.mode) && !isReadonly(capability);
  if (context.kind === "block" && capability.access.type === "mount" && writers) {
    throw refuse(`a block volume with a filesystem cannot be ${capability.mode}; use a StorageClass of kind shared`);
  }
}
