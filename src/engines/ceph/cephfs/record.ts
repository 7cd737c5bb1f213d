import { z } from "zod";
import { StorageError } from "../../../errors/storage-error.js";
import { ACCESS_MODES, FS_TYPES, type Snapshot, type Volume, type VolumeSpec } from "../../../model/volume.js";
import { type Place, snapshotId, volumeId } from "./names.js";

const bytes = z.string().regex(/^\d+$/).transform(BigInt);
const texts = z.record(z.string(), z.string());
const fsType = z.enum(["", ...FS_TYPES] as ["", "ext4", "xfs", "btrfs"]);
const VolumeShape = z.object({
  v: z.literal(1),
  /** creating: not yet answered for; deleting: not to be found any more. Each is gone on with by whoever comes next. */
  state: z.enum(["creating", "ready", "deleting"]),
  token: z.string(),
  name: z.string(),
  kind: z.literal("shared"),
  capacityBytes: bytes,
  fsType,
  mkfsOptions: z.array(z.string()),
  provisioning: z.enum(["thin", "thick"]),
  reclaimSpaceMs: z.number(),
  parameters: texts,
  mutableParameters: texts,
  source: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("snapshot"), snapshotId: z.string() }),
      z.object({ type: z.literal("volume"), volumeId: z.string() }),
    ])
    .nullable(),
  createdMs: z.number(),
  publications: z.array(
    z.object({ nodeId: z.string(), readonly: z.boolean(), capability: z.string(), mode: z.enum(ACCESS_MODES) }),
  ),
  /** In the file system; "" until it is ready. */
  path: z.string(),
  /** What it is copied from; `own`: a snapshot for this copy alone, which goes with its end. */
  copy: z.object({ subvolume: z.string(), snapshot: z.string(), own: z.boolean() }).nullable(),
});

const SnapshotShape = z.object({
  v: z.literal(1),
  state: z.enum(["creating", "ready", "deleting"]),
  token: z.string(),
  name: z.string(),
  sourceVolumeId: z.string(),
  /** Of the volume, which may be gone. */
  subvolume: z.string(),
  sizeBytes: bytes,
  createdMs: z.number(),
  fsType,
});

export type VolumeRecord = z.infer<typeof VolumeShape>;
export type SnapshotRecord = z.infer<typeof SnapshotShape>;

/** JSON in ASCII: it goes over a command line, whose locale is C. */
export function recordText(record: VolumeRecord | SnapshotRecord): string {
  const json = JSON.stringify(record, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  return json.replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function parse<T>(shape: z.ZodType<T>, text: string, where: string): T {
  try {
    return shape.parse(JSON.parse(text));
  } catch (cause) {
    throw new StorageError("failed-precondition", `the record ${where} is damaged; it is left as it is`, { cause });
  }
}

export const parseVolumeRecord = (text: string, where: string) => parse(VolumeShape, text, where);
export const parseSnapshotRecord = (text: string, where: string) => parse(SnapshotShape, text, where);

export function newVolumeRecord(spec: VolumeSpec, token: string): VolumeRecord {
  return {
    v: 1,
    state: "creating",
    token,
    ...spec,
    kind: "shared",
    mkfsOptions: [...spec.mkfsOptions],
    createdMs: Date.now(),
    publications: [],
    path: "",
    copy: null,
  };
}

export function volumeOf(record: VolumeRecord, place: Place, hash: string): Volume {
  const { v: _v, state: _state, token, path: _path, copy: _copy, ...volume } = record;
  return { ...volume, id: volumeId(place, hash, token) };
}

export function snapshotOf(record: SnapshotRecord, place: Place, hash: string): Snapshot {
  const { name, sourceVolumeId, sizeBytes, createdMs, fsType } = record;
  const id = snapshotId(place, hash, record.token);
  // A snapshot of a subvolume is whole as soon as it is cut.
  return { id, name, sourceVolumeId, sizeBytes, createdMs, readyToUse: true, groupId: "", fsType, kind: "shared" };
}
