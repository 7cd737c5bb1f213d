export type VolumeKind = "block" | "shared";
export type Provisioning = "thin" | "thick";
export type FsType = "ext4" | "xfs" | "btrfs";
export const FS_TYPES: readonly FsType[] = ["ext4", "xfs", "btrfs"];

/** The volume access modes of CSI v1.12, by their protobuf names. */
export const ACCESS_MODES = [
  "SINGLE_NODE_WRITER",
  "SINGLE_NODE_READER_ONLY",
  "MULTI_NODE_READER_ONLY",
  "MULTI_NODE_SINGLE_WRITER",
  "MULTI_NODE_MULTI_WRITER",
  "SINGLE_NODE_SINGLE_WRITER",
  "SINGLE_NODE_MULTI_WRITER",
] as const;
export type AccessMode = (typeof ACCESS_MODES)[number];

/** An enum value of a later CSI version arrives as its number. */
export const isAccessMode = (mode: unknown): mode is AccessMode => (ACCESS_MODES as readonly unknown[]).includes(mode);

export interface Capability {
  access:
    | { type: "block" }
    | { type: "mount"; fsType: string; mountFlags: readonly string[]; volumeMountGroup: string };
  mode: AccessMode;
}

export type ContentSource = { type: "snapshot"; snapshotId: string } | { type: "volume"; volumeId: string };

/** What a volume was asked to be. Kept, so that a repeated CreateVolume can be compared with it. */
export interface VolumeSpec {
  name: string;
  kind: VolumeKind;
  capacityBytes: bigint;
  fsType: FsType | "";
  mkfsOptions: readonly string[];
  provisioning: Provisioning;
  reclaimSpaceMs: number;
  parameters: Record<string, string>;
  mutableParameters: Record<string, string>;
  source: ContentSource | null;
}

export interface Publication {
  nodeId: string;
  readonly: boolean;
  /** The capability as canonical text, compared on a repeated publish. */
  capability: string;
  mode: AccessMode;
}

export interface Volume extends VolumeSpec {
  id: string;
  createdMs: number;
  publications: readonly Publication[];
  /** What its engine adds to the CSI volume context: facts that never change, and no secret. */
  context?: Readonly<Record<string, string>>;
}

export interface Snapshot {
  id: string;
  name: string;
  sourceVolumeId: string;
  sizeBytes: bigint;
  createdMs: number;
  readyToUse: boolean;
  groupId: string;
  fsType: FsType | "";
  kind: VolumeKind;
}

export interface SnapshotGroup {
  id: string;
  name: string;
  snapshotIds: readonly string[];
  sourceVolumeIds: readonly string[];
  createdMs: number;
}

export const MULTI_NODE: ReadonlySet<AccessMode> = new Set([
  "MULTI_NODE_READER_ONLY",
  "MULTI_NODE_SINGLE_WRITER",
  "MULTI_NODE_MULTI_WRITER",
]);
export const READ_ONLY: ReadonlySet<AccessMode> = new Set(["SINGLE_NODE_READER_ONLY", "MULTI_NODE_READER_ONLY"]);
