import { lstat } from "node:fs/promises";
import type { NodePublishVolumeRequest__Output } from "../proto/gen/csi/v1/NodePublishVolumeRequest.js";
import type { Attacher, NodeRef } from "../src/engines/attacher.js";
import type { Context } from "../src/engines/types.js";
import { StorageError } from "../src/errors/storage-error.js";
import { type Capability, MULTI_NODE } from "../src/model/volume.js";
import { bindMount, mountAt, remountReadonly } from "../src/os/mount.js";
import { step } from "../src/runtime/steps.js";
import type { NodeEnvironment } from "./environment.js";
import { isEphemeral, publishEphemeral } from "./ephemeral.js";
import { applyMountGroup, makeMountPoint } from "./filesystem-mount.js";
import type { NodeVolume, Place } from "./node-state.js";
import { cleanPath } from "./paths.js";
import { capabilityDigest, capabilityOf, isReadonly, ownId, required } from "./requests.js";
import { busyPath, liveTargets, lookAt, type Presence, presenceOf, proveSame } from "./truth.js";

const refuse = (message: string) => new StorageError("failed-precondition", message);

/** NodePublishVolume: shows a staged volume at a pod's target path, by a bind mount of its folder or device. */
export async function publishVolume(
  env: NodeEnvironment,
  ctx: Context,
  request: NodePublishVolumeRequest__Output,
): Promise<object> {
  const volumeId = required(request.volume_id, "volume_id");
  const target = cleanPath("target_path", required(request.target_path, "target_path"));
  const capability = capabilityOf(request.volume_capability);
  if (isEphemeral(request.volume_context)) return publishEphemeral(env, ctx, request, target, capability);
  ownId(volumeId);
  if (request.staging_target_path === "") throw refuse("staging_target_path is required: stage the volume first");
  const staging = cleanPath("staging_target_path", request.staging_target_path);
  const attacher = env.attacherOf(volumeId);
  await env.exclusive(volumeId, "NodePublishVolume", async () => {
    step("node-publish/begun");
    const volume = await env.state.read(volumeId);
    // As it was staged, where this request has no context of its own.
    const given = Object.keys(request.publish_context).length > 0;
    const ref: NodeRef = { volumeId, publishContext: given ? request.publish_context : (volume?.publishContext ?? {}) };
    const identity = await attacher.prove(ctx, ref);
    const stage = volume?.stages[staging];
    if (!volume || !stage) throw refuse(`the volume is not staged at ${staging}; stage it first`);
    if (stage.access !== capability.access.type)
      throw refuse(`the volume is staged as ${stage.access}, not ${capability.access.type}`);
    proveSame(ref, identity, volume.identity);
    const readonly = request.readonly || isReadonly(capability) || stage.readonly;
    const place: Place = {
      access: stage.access,
      capability: capabilityDigest(capability),
      mode: capability.mode,
      readonly,
    };
    const presence = await presenceOf(attacher, ctx, ref, volume);
    const live = await liveTargets(volume, presence);
    if (alreadyThere(live, target, place)) {
      await finishReadonly(env, ctx.signal, target, place);
      return;
    }
    if ((await mountAt(target)) !== undefined) throw busyPath(target);
    // Recorded first: a mount that a crash leaves behind is then found by its unpublish.
    const next: NodeVolume = { ...volume, targets: { ...live, [target]: place } };
    await env.state.write(next);
    step("node-publish/recorded");
    try {
      await bindTarget(env, ctx, { attacher, ref, staging, target, readonly, capability, presence });
    } catch (error) {
      // With nothing made there, no unpublish need come for it.
      if (!(await exists(target))) await env.state.write({ ...volume, targets: live });
      throw error;
    }
  });
  return {};
}

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  );

interface Binding {
  attacher: Attacher;
  ref: NodeRef;
  staging: string;
  target: string;
  readonly: boolean;
  capability: Capability;
  presence: Presence;
}

async function bindTarget(env: NodeEnvironment, ctx: Context, binding: Binding): Promise<void> {
  const { attacher, ref, staging, target, readonly, capability, presence } = binding;
  const { signal } = ctx;
  if (capability.access.type === "mount") {
    const found = await lookAt(staging, presence);
    if (found.type !== "mount") throw refuse(`the volume is no longer mounted at ${staging}; stage it again`);
    await publishFolder(env, signal, staging, target, readonly, capability.access.volumeMountGroup);
  } else if (attacher.type === "device") {
    const { device } = await attacher.attach(ctx, ref, readonly);
    await makeMountPoint(target, "file");
    await bindMount(env.exec, signal, device, target);
    step("node-publish/bound");
  }
}

async function publishFolder(
  env: NodeEnvironment,
  signal: AbortSignal,
  staging: string,
  target: string,
  readonly: boolean,
  group: string,
): Promise<void> {
  if (!readonly) await applyMountGroup(staging, group);
  await makeMountPoint(target, "folder");
  await bindMount(env.exec, signal, staging, target);
  step("node-publish/bound");
  await finishReadonly(env, signal, target, { access: "mount", readonly });
}

/** A bind mount is made writable and becomes read-only in a second step: a retry after a crash between them ends here. */
async function finishReadonly(
  env: NodeEnvironment,
  signal: AbortSignal,
  target: string,
  place: Pick<Place, "access" | "readonly">,
): Promise<void> {
  if (!place.readonly || place.access === "block") return;
  const entry = await mountAt(target);
  if (!entry) throw refuse(`${target} was unmounted while it was published`);
  if (!entry.options.includes("ro")) await remountReadonly(env.exec, signal, entry);
}

/** Rule 26 of CSI's NodePublishVolume tables: true when the very same publication is there already. */
function alreadyThere(live: Readonly<Record<string, Place>>, target: string, place: Place): boolean {
  const same = live[target];
  if (same) {
    if (same.capability === place.capability && same.readonly === place.readonly) return true;
    throw new StorageError(
      "already-exists",
      `the volume is published at ${target} with other arguments; unpublish it first`,
    );
  }
  for (const [path, other] of Object.entries(live)) {
    if (!sharesNode(other.mode) || !sharesNode(place.mode)) {
      throw refuse(`the volume is published at ${path}, and ${place.mode} allows no second target on a node`);
    }
  }
  return false;
}

const sharesNode = (mode: Capability["mode"]) => MULTI_NODE.has(mode) || mode === "SINGLE_NODE_MULTI_WRITER";
