import type { Attacher, NodeRef } from "../src/engines/attacher.js";
import type { Context } from "../src/engines/types.js";
import { notFound, type StorageError } from "../src/errors/storage-error.js";
import { isOurs } from "../src/model/volume-id.js";
import type { NodeEnvironment } from "./environment.js";
import { isEphemeralId } from "./ephemeral.js";
import type { NodeVolume } from "./node-state.js";
import { cleanPath } from "./paths.js";
import { type Found, lookAt, presenceOf, refOf } from "./truth.js";

export interface Located {
  found: Extract<Found, { type: "mount" | "block" }>;
  ref: NodeRef;
  attacher: Attacher;
  volume: NodeVolume | undefined;
}

/**
 * The volume at a path: its staging path or one of its targets, told by what the kernel shows there.
 *
 * @throws StorageError not-found when this volume is not there, for relative paths and foreign ids too
 */
export async function locateVolume(
  env: NodeEnvironment,
  ctx: Context,
  volumeId: string,
  volumePath: string,
): Promise<Located> {
  const nowhere = notFound("no volume of that id is at that path");
  const ephemeral = isEphemeralId(volumeId);
  if (!(ephemeral || isOurs(volumeId, "v"))) throw nowhere;
  const path = pathOr(volumePath, nowhere);
  const volume = ephemeral ? undefined : await env.state.read(volumeId);
  const ref = refOf(volumeId, volume);
  const attacher = ephemeral ? env.ephemeral : env.attacherOf(volumeId);
  const presence = await presenceOf(attacher, ctx, ref, volume);
  const found = await lookAt(path, presence);
  if (found.type === "mount" || found.type === "block") return { found, ref, attacher, volume };
  // A staged block volume is nowhere in the file system: its record alone says that it is staged at this path.
  const stage = volume?.stages[path];
  const device = presence.devices.find((candidate) => candidate.readonly === stage?.readonly);
  if (stage?.access === "block" && device)
    return { found: { type: "block", device, entry: undefined }, ref, attacher, volume };
  throw nowhere;
}

/** No volume was ever put at a path that publish refuses (CSI spec, NodeGetVolumeStats Errors). */
function pathOr(path: string, error: StorageError): string {
  try {
    return cleanPath("volume_path", path);
  } catch {
    throw error;
  }
}
