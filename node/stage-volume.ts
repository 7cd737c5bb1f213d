import type { NodeStageVolumeRequest__Output } from "../proto/gen/csi/v1/NodeStageVolumeRequest.js";
import { attachImage, detachImage, ensureFilesystem, recordRaw } from "../src/engines/local/attacher.js";
import type { Context } from "../src/engines/types.js";
import { StorageError } from "../src/errors/storage-error.js";
import { type Capability, FS_TYPES, MULTI_NODE } from "../src/model/volume.js";
import type { Loop } from "../src/os/loop.js";
import { step } from "../src/runtime/steps.js";
import type { NodeEnvironment } from "./environment.js";
import { growIfSmaller, mountFilesystem } from "./filesystem-mount.js";
import type { NodeVolume, Place } from "./node-state.js";
import { cleanPath } from "./paths.js";
import {
  capabilityDigest,
  capabilityOf,
  imageRef,
  isReadonly,
  ownId,
  required,
  type VolumeContext,
  volumeContextOf,
} from "./requests.js";
import { busyPath, lookAt } from "./truth.js";

const UNDO_MS = 10_000;

/** NodeStageVolume (CSI 1.12): proves the image, attaches it, formats it if it is proven blank, checks and mounts it. */
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
  const ref = imageRef(env.poolDir, volumeId, request.publish_context);
  const readonly = request.publish_context.readonly === "true" || isReadonly(capability);
  const place: Place = {
    access: capability.access.type,
    capability: capabilityDigest(capability),
    mode: capability.mode,
    readonly,
  };
  await env.exclusive(volumeId, "NodeStageVolume", async () => {
    step("node-stage/begun");
    const known = await env.state.read(volumeId);
    refuseOtherStage(known, path, place);
    // A block volume that is read-only gets a read-only device; a filesystem's journal must be replayed even then.
    const loop = await attachImage(env.exec, ctx.signal, ref, readonly && place.access === "block");
    step("node-stage/attached");
    const volume: NodeVolume = {
      volumeId,
      image: ref.image,
      identity: loop.identity,
      stages: { ...known?.stages, [path]: place },
      targets: known?.targets ?? {},
    };
    try {
      if (capability.access.type === "mount") {
        const found = await lookAt(path, [loop]);
        if (found.type === "other" || found.type === "block") throw busyPath(path);
        if (found.type === "mount" && !readonly) {
          // A stage that was cut off between its mount and its growing is finished by its retry.
          const fsType = FS_TYPES.find((known) => known === found.entry.fsType);
          if (fsType)
            await growIfSmaller(env.exec, ctx.signal, {
              device: loop.device,
              mountPoint: path,
              fsType,
              deviceBytes: loop.sizeBytes,
            });
        }
        if (found.type === "nothing") {
          const wish = { ...context, readonly };
          const made = await ensureFilesystem(env.exec, ctx.signal, ref, loop.device, wish);
          await env.state.write(volume);
          step("node-stage/recorded");
          const flags = capability.access.mountFlags;
          const device = { device: loop.device, deviceBytes: loop.sizeBytes };
          await mountFilesystem(env.exec, ctx.signal, { ...device, ...made, path, readonly, flags });
          step("node-stage/mounted");
          return;
        }
      } else if (!readonly) {
        await recordRaw(ref);
      }
      await env.state.write(volume);
    } catch (error) {
      await undoStage(env, ctx, volume, known, path, loop);
      throw error;
    }
  });
  return {};
}

/**
 * A stage that failed is not remembered, or its retry with corrected arguments would be "another capability" for ever.
 * The request's own signal may have fired, so this has one of its own.
 */
async function undoStage(
  env: NodeEnvironment,
  ctx: Context,
  volume: NodeVolume,
  known: NodeVolume | undefined,
  path: string,
  loop: Loop,
): Promise<void> {
  if ((await lookAt(path, [loop]).catch(() => undefined))?.type === "mount") return;
  const before = known ?? { ...volume, stages: {} };
  try {
    if (await env.state.read(volume.volumeId)) await env.state.write(before);
    if (Object.keys(before.stages).length === 0)
      await detachImage(env.exec, AbortSignal.timeout(UNDO_MS), loop.identity);
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
