import type { CapacityRange__Output } from "../proto/gen/csi/v1/CapacityRange.js";
import type { VolumeCapability__Output } from "../proto/gen/csi/v1/VolumeCapability.js";
import { invalid, StorageError } from "../src/errors/storage-error.js";
import {
  ACCESS_MODES,
  type Capability,
  FS_TYPES,
  type FsType,
  isAccessMode,
  MULTI_NODE,
  type VolumeKind,
} from "../src/model/volume.js";

// CSI spec, "CreateVolumeRequest.name": these code points are banned, any other Unicode is allowed.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are what is looked for
const BANNED = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

export function requireName(field: string, name: string): string {
  if (name === "") throw invalid(`${field} is required`);
  if (Buffer.byteLength(name) > 128)
    throw invalid(`${field} has ${Buffer.byteLength(name)} bytes; at most 128 are allowed`);
  if (BANNED.test(name)) throw invalid(`${field} holds a control character`);
  return name;
}

export function requireId(field: string, id: string): string {
  if (id === "") throw invalid(`${field} is required`);
  return id;
}

/** @throws StorageError invalid-argument for a capability without a mode or an access type */
export function parseCapability(field: string, capability: VolumeCapability__Output | null): Capability {
  if (!capability) throw invalid(`${field} is required`);
  const mode = capability.access_mode?.mode;
  if (!isAccessMode(mode)) throw invalid(`${field}.access_mode.mode is required: one of ${ACCESS_MODES.join(", ")}`);
  if (capability.block) return { access: { type: "block" }, mode };
  if (!capability.mount) throw invalid(`${field} needs an access type: block or mount`);
  const { fs_type, mount_flags, volume_mount_group } = capability.mount;
  return {
    access: { type: "mount", fsType: fs_type, mountFlags: mount_flags, volumeMountGroup: volume_mount_group },
    mode,
  };
}

export function parseCapabilities(list: readonly VolumeCapability__Output[]): Capability[] {
  if (list.length === 0) throw invalid("volume_capabilities is required: at least one capability");
  return list.map((one, i) => parseCapability(`volume_capabilities[${i}]`, one));
}

/** Why this engine cannot serve the capability for such a volume, or null when it can. */
export function unsupported(capability: Capability, kind: VolumeKind): string | null {
  const { access, mode } = capability;
  if (access.type === "block") {
    if (kind === "shared") return "a shared volume is a file system: raw block access is not possible";
    if (mode !== "MULTI_NODE_READER_ONLY" && MULTI_NODE.has(mode))
      return `raw block access by several writers (${mode}) is not supported`;
    return null;
  }
  if (access.fsType !== "" && !FS_TYPES.includes(access.fsType as FsType)) {
    return `fs_type ${JSON.stringify(access.fsType)} is not supported: use ${FS_TYPES.join(", ")}`;
  }
  if (kind === "block" && MULTI_NODE.has(mode) && mode !== "MULTI_NODE_READER_ONLY") {
    return `a block volume is mounted by one node at a time, not ${mode}; use kind: shared`;
  }
  return null;
}

/** Many nodes and a mount means shared; anything else is a disk of its own. */
export function defaultKind(capabilities: readonly Capability[]): VolumeKind {
  return capabilities.some((c) => c.access.type === "mount" && MULTI_NODE.has(c.mode)) ? "shared" : "block";
}

// Equal capabilities give equal text; kept with a publication to compare a repeated one with.
export function canonical(capability: Capability): string {
  return JSON.stringify([
    capability.mode,
    capability.access.type,
    capability.access.type === "mount" ? capability.access.fsType : "",
  ]);
}

const DEFAULT_BYTES = 1024n ** 3n;
const SECTOR_BYTES = 4096n;
const MIN_BYTES: Record<FsType | "", bigint> = {
  "": 1024n ** 2n,
  ext4: 16n * 1024n ** 2n,
  btrfs: 128n * 1024n ** 2n,
  xfs: 300n * 1024n ** 2n,
};

export interface Range {
  requiredBytes: bigint;
  limitBytes: bigint;
}

export function parseRange(range: CapacityRange__Output | null): Range {
  const requiredBytes = BigInt(range?.required_bytes ?? 0);
  const limitBytes = BigInt(range?.limit_bytes ?? 0);
  if (requiredBytes < 0n) throw invalid(`capacity_range.required_bytes is negative: ${requiredBytes}`);
  if (limitBytes < 0n) throw invalid(`capacity_range.limit_bytes is negative: ${limitBytes}`);
  if (limitBytes > 0n && requiredBytes > limitBytes) {
    throw invalid(`capacity_range.limit_bytes (${limitBytes}) is below required_bytes (${requiredBytes})`);
  }
  return { requiredBytes, limitBytes };
}

/**
 * The size to make: what was asked, in whole 4 KiB sectors, at least what the file system and the source need.
 *
 * @throws StorageError out-of-range when that passes limit_bytes or the largest volume
 */
export function chooseSize(range: Range, fsType: FsType | "", sourceBytes: bigint, maximumBytes: bigint): bigint {
  if (sourceBytes > 0n && range.requiredBytes > 0n && range.requiredBytes < sourceBytes) {
    throw new StorageError(
      "out-of-range",
      `capacity_range.required_bytes (${range.requiredBytes}) is below the source's size, ${sourceBytes}`,
    );
  }
  const wished =
    range.requiredBytes > 0n ? range.requiredBytes : sourceBytes > 0n ? sourceBytes : defaultWithin(range.limitBytes);
  const atLeast = wished > MIN_BYTES[fsType] ? wished : MIN_BYTES[fsType];
  const size = ((atLeast + SECTOR_BYTES - 1n) / SECTOR_BYTES) * SECTOR_BYTES;
  if (range.limitBytes > 0n && size > range.limitBytes) {
    throw new StorageError(
      "out-of-range",
      `the volume needs ${size} bytes, more than capacity_range.limit_bytes, ${range.limitBytes}`,
    );
  }
  if (size > maximumBytes) {
    throw new StorageError("out-of-range", `${size} bytes are more than the largest volume, ${maximumBytes} bytes`);
  }
  return size;
}

function defaultWithin(limitBytes: bigint): bigint {
  return limitBytes > 0n && limitBytes < DEFAULT_BYTES ? (limitBytes / SECTOR_BYTES) * SECTOR_BYTES : DEFAULT_BYTES;
}
