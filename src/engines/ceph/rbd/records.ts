import { z } from "zod";
import { StorageError } from "../../../errors/storage-error.js";
import {
  ACCESS_MODES,
  type FsType,
  type Snapshot,
  type SnapshotGroup,
  type Volume,
  type VolumeSpec,
} from "../../../model/volume.js";
import type { Ref } from "./names.js";

/**
 * What Granary knows of a volume, a snapshot or a group: JSON in its image's metadata. The key has RBD's own id of the
 * image in it, since a clone gets its parent's metadata: a record whose key names another image is not this image's. An
 * image without its own record was never finished.
 */
export const volumeKey = (imageId: string): string => `granary.volume.${imageId}`;
export const snapshotKey = (imageId: string): string => `granary.snapshot.${imageId}`;
export const groupKey = (imageId: string): string => `granary.group.${imageId}`;

/**
 * The format record of a volume (src/engines/format-record.ts): written by the node that has it staged, of its volume's
 * image, `granary-v-<hash>`.
 */
export const FORMAT_KEY = "granary.format";

/**
 * Who has the volume attached: one key for each node, written by the node before the device is used, and removed once the
 * device is gone. Fencing goes by it where a client left neither watch nor lock behind.
 */
export const clientKey = (nodeHash: string): string => `granary.client.${nodeHash}`;

const text = z.string();
const bigintText = z
  .string()
  .regex(/^\d+$/)
  .transform((value) => BigInt(value));
const fsType = z.enum(["", "ext4", "xfs", "btrfs"]) as z.ZodType<FsType | "">;
const source = z
  .union([
    z.object({ type: z.literal("snapshot"), snapshotId: text }),
    z.object({ type: z.literal("volume"), volumeId: text }),
  ])
  .nullable();
const publication = z.object({
  nodeId: text,
  readonly: z.boolean(),
  capability: text,
  mode: z.enum(ACCESS_MODES),
});

const VolumeShape = z.object({
  state: z.enum(["ready", "deleted"]),
  name: text,
  capacityBytes: bigintText,
  fsType,
  mkfsOptions: z.array(text),
  parameters: z.record(text, text),
  mutableParameters: z.record(text, text),
  source,
  createdMs: z.number(),
  publications: z.array(publication),
  /** Clones between this image and one without a parent, when it was made; a flatten since makes it fewer. */
  depth: z.number(),
});
export type VolumeRecord = z.infer<typeof VolumeShape>;

const SnapshotShape = z.object({
  state: z.enum(["ready", "deleting"]),
  name: text,
  sourceVolumeId: text,
  sizeBytes: bigintText,
  createdMs: z.number(),
  groupId: text,
  fsType,
  /** The volume's format record at the time of the cut; "" for none. */
  format: text,
  depth: z.number(),
});
export type SnapshotRecord = z.infer<typeof SnapshotShape>;

const GroupShape = z.object({
  state: z.enum(["ready", "deleting"]),
  name: text,
  snapshotIds: z.array(text),
  sourceVolumeIds: z.array(text),
  createdMs: z.number(),
});
export type GroupRecord = z.infer<typeof GroupShape>;

const ClientShape = z.object({
  nodeId: text,
  /** As `rbd status` shows it: `10.0.0.1:0/3219`. */
  address: text,
  /** What maps it: krbd, rbd-nbd, qemu. */
  mapper: text,
});
/** The value of clientKey(hashOf(nodeId)). */
export type ClientRecord = z.infer<typeof ClientShape>;

export const encodeRecord = (record: object): string =>
  JSON.stringify(record, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));

function decode<T>(shape: z.ZodType<T>, raw: string | undefined, where: string): T | undefined {
  if (raw === undefined) return undefined;
  try {
    return shape.parse(JSON.parse(raw));
  } catch (error) {
    throw new StorageError("internal", `the record ${where} is damaged, and is left as it is`, { cause: error });
  }
}

export const decodeVolume = (raw: string | undefined, where: string) => decode(VolumeShape, raw, where);
export const decodeSnapshot = (raw: string | undefined, where: string) => decode(SnapshotShape, raw, where);
export const decodeGroup = (raw: string | undefined, where: string) => decode(GroupShape, raw, where);

/** Who is said to have the volume attached. */
export function clientsIn(metadata: Readonly<Record<string, string>>): ClientRecord[] {
  return Object.entries(metadata)
    .filter(([key]) => key.startsWith(clientKey("")))
    .map(([key, value]) => decode(ClientShape, value, key) as ClientRecord);
}

export function volumeOf(ref: Ref, record: VolumeRecord, context: Record<string, string>): Volume {
  const { state: _state, depth: _depth, ...rest } = record;
  return { ...rest, id: ref.id, kind: "block", provisioning: "thin", reclaimSpaceMs: 0, context };
}

export function recordOf(spec: VolumeSpec, depth: number): VolumeRecord {
  const { name, capacityBytes, fsType, parameters, mutableParameters, source } = spec;
  return {
    ...{ state: "ready", name, capacityBytes, fsType, parameters, mutableParameters, source, depth },
    mkfsOptions: [...spec.mkfsOptions],
    createdMs: Date.now(),
    publications: [],
  };
}

export function snapshotOf(ref: Ref, record: SnapshotRecord): Snapshot {
  const { state, format: _format, depth: _depth, ...rest } = record;
  return { ...rest, id: ref.id, kind: "block", readyToUse: state === "ready" };
}

export function groupOf(ref: Ref, record: GroupRecord): SnapshotGroup {
  const { state: _state, ...rest } = record;
  return { ...rest, id: ref.id };
}
