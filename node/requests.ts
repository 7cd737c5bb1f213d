import { createHash } from "node:crypto";
import { z } from "zod";
import type { VolumeCapability__Output } from "../proto/gen/csi/v1/VolumeCapability.js";
import { invalid, notFound, StorageError } from "../src/errors/storage-error.js";
import { type Capability, FS_TYPES, type FsType, isAccessMode, READ_ONLY } from "../src/model/volume.js";
import { isOurs } from "../src/model/volume-id.js";

/** @throws StorageError invalid-argument when a required field is empty */
export function required(value: string, field: string): string {
  if (value === "") throw invalid(`${field} is required`);
  return value;
}

/** @throws StorageError not-found for an id that is not ours: it names nothing that exists */
export function ownId(volumeId: string): string {
  if (!isOurs(volumeId, "v")) throw notFound("no volume of that id");
  return volumeId;
}

export function capabilityOf(message: VolumeCapability__Output | null): Capability {
  if (!message) throw invalid("volume_capability is required");
  const mode = message.access_mode?.mode;
  if (!isAccessMode(mode)) throw invalid("volume_capability.access_mode is required");
  if (message.block) return { access: { type: "block" }, mode };
  if (!message.mount) throw invalid("volume_capability.access_type is required");
  const { fs_type, mount_flags, volume_mount_group } = message.mount;
  if (volume_mount_group && !/^\d{1,10}$/.test(volume_mount_group)) {
    throw invalid("volume_capability.mount.volume_mount_group must be a numeric group id");
  }
  return {
    access: { type: "mount", fsType: fs_type, mountFlags: mount_flags, volumeMountGroup: volume_mount_group },
    mode,
  };
}

export const isReadonly = (capability: Capability) => READ_ONLY.has(capability.mode);

/** A capability to compare with, as a digest: mount flags may be secret, and this is kept in a file. */
export function capabilityDigest(capability: Capability): string {
  return createHash("sha256").update(JSON.stringify(capability)).digest("hex");
}

/** The volume context that the controller wrote, or its defaults: static volumes may have none. */
export interface VolumeContext {
  kind: "block" | "shared" | "";
  fsType: FsType | "";
  mkfsOptions: readonly string[];
  hasSource: boolean;
}

const Options = z.array(z.string());

export function volumeContextOf(context: Readonly<Record<string, string>>, capability: Capability): VolumeContext {
  const asked = capability.access.type === "mount" ? capability.access.fsType : "";
  const wanted = asked || context.fsType || "";
  const fsType = FS_TYPES.find((known) => known === wanted) ?? "";
  if (wanted !== fsType)
    throw new StorageError("failed-precondition", `filesystem type ${wanted} is not one of ${FS_TYPES.join(", ")}`);
  const kind = context.kind === "block" || context.kind === "shared" ? context.kind : "";
  return { kind, fsType, mkfsOptions: mkfsOptionsOf(context.mkfsOptions), hasSource: context.hasSource === "true" };
}

function mkfsOptionsOf(text: string | undefined): string[] {
  if (!text) return [];
  try {
    return Options.parse(JSON.parse(text));
  } catch (error) {
    throw new StorageError("invalid-argument", "volume_context.mkfsOptions is not a JSON array of texts", {
      cause: error,
    });
  }
}
