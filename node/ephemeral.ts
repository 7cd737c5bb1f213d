import { access, mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { NodePublishVolumeRequest__Output } from "../proto/gen/csi/v1/NodePublishVolumeRequest.js";
import type { Context } from "../src/engines/types.js";
import { invalid, StorageError } from "../src/errors/storage-error.js";
import type { Capability } from "../src/model/volume.js";
import { unmount } from "../src/os/mount.js";
import { step } from "../src/runtime/steps.js";
import { ensureFilesystem } from "./ensure-filesystem.js";
import type { NodeEnvironment } from "./environment.js";
import { applyMountGroup, mountFilesystem } from "./filesystem-mount.js";
import { bytesOf } from "./quantity.js";
import { isReadonly, volumeContextOf } from "./requests.js";
import { busyPath, lookAt, presenceOfDevices, refOf } from "./truth.js";
import { removeTarget } from "./unpublish-volume.js";

/*
 * CSI inline ephemeral volumes: made by NodePublishVolume, gone with NodeUnpublishVolume, known to this node alone. The
 * folder is their whole record: after a crash in either, one that is mounted nowhere is removed at the next start.
 */

const EPHEMERAL_ID = /^csi-[0-9a-f]{16,128}$/;
const DEFAULT_BYTES = 1024n ** 3n;

/** kubelet names them `csi-<hex>`; the id becomes a folder's name, so nothing else is taken. */
export const isEphemeralId = (volumeId: string) => EPHEMERAL_ID.test(volumeId);

export const isEphemeral = (context: Readonly<Record<string, string>>) =>
  context["csi.storage.k8s.io/ephemeral"] === "true";

export const ephemeralImage = (stateDir: string, volumeId: string) => join(stateDir, "ephemeral", volumeId, "image");

export async function publishEphemeral(
  env: NodeEnvironment,
  ctx: Context,
  request: NodePublishVolumeRequest__Output,
  target: string,
  capability: Capability,
): Promise<object> {
  const volumeId = request.volume_id;
  if (!isEphemeralId(volumeId))
    throw invalid("volume_id of an ephemeral volume must be csi-<hex>, as kubelet makes it");
  const mount = capability.access;
  if (mount.type === "block") throw new StorageError("failed-precondition", "an ephemeral volume has no block access");
  if (request.readonly || isReadonly(capability))
    throw new StorageError("failed-precondition", "an ephemeral volume that is read-only would stay empty");
  const context = volumeContextOf(request.volume_context, capability);
  const size = request.volume_context.size;
  const sizeBytes = size ? bytesOf(size) : DEFAULT_BYTES;
  const image = ephemeralImage(env.stateDir, volumeId);
  await env.exclusive(volumeId, "NodePublishVolume", async () => {
    await makeImage(image, sizeBytes);
    step("ephemeral-publish/image-made");
    const ref = refOf(volumeId, undefined);
    const device = await env.ephemeral.attach(ctx, ref, false);
    step("ephemeral-publish/attached");
    const found = await lookAt(target, presenceOfDevices([device]));
    if (found.type === "mount") return;
    if (found.type !== "nothing") throw busyPath(target);
    const made = await ensureFilesystem(env.exec, ctx, { attacher: env.ephemeral, ref }, device.device, {
      ...context,
      hasSource: false,
      readonly: false,
    });
    step("ephemeral-publish/formatted");
    await mountFilesystem(env.exec, ctx.signal, {
      device: device.device,
      deviceBytes: device.sizeBytes,
      ...made,
      path: target,
      readonly: false,
      flags: mount.mountFlags,
    });
    step("ephemeral-publish/mounted");
    await applyMountGroup(target, mount.volumeMountGroup);
  });
  return {};
}

async function makeImage(image: string, sizeBytes: bigint): Promise<void> {
  await mkdir(dirname(image), { recursive: true, mode: 0o700 });
  const file = await open(image, "a", 0o600);
  try {
    if ((await file.stat()).size === 0) await file.truncate(Number(sizeBytes));
  } finally {
    await file.close();
  }
}

/** Removes the volume's folder: its image, its format record, and so all that this node knows of it. */
export const removeEphemeral = (env: NodeEnvironment, volumeId: string) =>
  rm(dirname(ephemeralImage(env.stateDir, volumeId)), { recursive: true, force: true });

export async function unpublishEphemeral(
  env: NodeEnvironment,
  ctx: Context,
  volumeId: string,
  target: string,
): Promise<object> {
  const image = ephemeralImage(env.stateDir, volumeId);
  await env.exclusive(volumeId, "NodeUnpublishVolume", async () => {
    const present = await access(dirname(image)).then(
      () => true,
      () => false,
    );
    if (!present) return;
    const devices = await env.ephemeral.devices(ctx, refOf(volumeId, undefined), undefined);
    while ((await lookAt(target, presenceOfDevices(devices))).type === "mount")
      await unmount(env.exec, ctx.signal, target);
    step("ephemeral-unpublish/unmounted");
    await removeTarget(target);
    await env.ephemeral.detach(ctx, devices);
    step("ephemeral-unpublish/detached");
    await removeEphemeral(env, volumeId);
    step("ephemeral-unpublish/removed");
  });
  return {};
}
