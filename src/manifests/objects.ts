/**
 * Kubernetes' own objects, as far as storage is concerned, in the shapes of its API (v1, storage.k8s.io/v1,
 * snapshot.storage.k8s.io/v1, groupsnapshot.storage.k8s.io). What Granary adds to them is status only.
 */

export interface ObjectMeta {
  name: string;
  /** "" for kinds that have none. */
  namespace: string;
  uid: string;
  creationTimestamp: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Set when it was deleted but something still holds it; it goes once the last finalizer has. */
  deletionTimestamp?: string;
  finalizers: string[];
}

export interface ObjectCondition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  lastTransitionTime: string;
}

export type ReclaimPolicy = "Delete" | "Retain";
export type K8sAccessMode = "ReadWriteOnce" | "ReadOnlyMany" | "ReadWriteMany" | "ReadWriteOncePod";
export type VolumeMode = "Filesystem" | "Block";

interface Base<K extends string> {
  apiVersion: string;
  kind: K;
  metadata: ObjectMeta;
}

export interface TopologyTerm {
  matchLabelExpressions: { key: string; values: string[] }[];
}

export interface NodeSelectorRequirement {
  key: string;
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  values: string[];
}

export interface NodeAffinity {
  required: { nodeSelectorTerms: { matchExpressions: NodeSelectorRequirement[] }[] };
}

export interface StorageClass extends Base<"StorageClass"> {
  provisioner: string;
  parameters: Record<string, string>;
  mountOptions: string[];
  reclaimPolicy: ReclaimPolicy;
  volumeBindingMode: "Immediate" | "WaitForFirstConsumer";
  allowVolumeExpansion: boolean;
  allowedTopologies: TopologyTerm[];
}

export interface DataSource {
  apiGroup: string;
  kind: string;
  name: string;
}

export interface ClaimSpec {
  accessModes: K8sAccessMode[];
  volumeMode: VolumeMode;
  resources: { requests: { storage: string }; limits?: { storage: string } };
  /** undefined: the default class; "": no class, static volumes only. */
  storageClassName?: string;
  volumeName?: string;
  selector?: { matchLabels: Record<string, string> };
  dataSource?: DataSource;
  dataSourceRef?: DataSource;
  volumeAttributesClassName?: string;
}

export interface PersistentVolumeClaim extends Base<"PersistentVolumeClaim"> {
  spec: ClaimSpec;
  status: {
    phase: "Pending" | "Bound" | "Lost";
    accessModes: K8sAccessMode[];
    capacity?: { storage: string };
    currentVolumeAttributesClassName?: string;
    conditions: ObjectCondition[];
  };
}

export interface ObjectReference {
  kind: string;
  namespace: string;
  name: string;
  uid: string;
}

export interface PersistentVolume extends Base<"PersistentVolume"> {
  spec: {
    capacity: { storage: string };
    accessModes: K8sAccessMode[];
    volumeMode: VolumeMode;
    persistentVolumeReclaimPolicy: ReclaimPolicy;
    storageClassName: string;
    mountOptions: string[];
    volumeAttributesClassName?: string;
    nodeAffinity?: NodeAffinity;
    claimRef?: ObjectReference;
    csi: {
      driver: string;
      volumeHandle: string;
      fsType: string;
      readOnly: boolean;
      volumeAttributes: Record<string, string>;
    };
  };
  status: { phase: "Available" | "Bound" | "Released" | "Failed"; conditions: ObjectCondition[] };
}

export interface VolumeAttributesClass extends Base<"VolumeAttributesClass"> {
  driverName: string;
  parameters: Record<string, string>;
}

export interface VolumeSnapshotClass extends Base<"VolumeSnapshotClass"> {
  driver: string;
  deletionPolicy: ReclaimPolicy;
  parameters: Record<string, string>;
}

export interface VolumeSnapshot extends Base<"VolumeSnapshot"> {
  spec: {
    /** undefined: the default class. */
    volumeSnapshotClassName?: string;
    source: { persistentVolumeClaimName: string };
  };
  /** What a VolumeSnapshotContent would hold (handle, policy) is kept here: stand-alone needs no second object. */
  status: {
    readyToUse: boolean;
    snapshotHandle?: string;
    volumeGroupSnapshotName?: string;
    deletionPolicy?: ReclaimPolicy;
    creationTime?: string;
    restoreSize?: string;
    conditions: ObjectCondition[];
  };
}

export interface VolumeGroupSnapshotClass extends Base<"VolumeGroupSnapshotClass"> {
  driver: string;
  deletionPolicy: ReclaimPolicy;
  parameters: Record<string, string>;
}

export interface VolumeGroupSnapshot extends Base<"VolumeGroupSnapshot"> {
  spec: {
    volumeGroupSnapshotClassName?: string;
    /** The claims of the namespace that have all these labels. */
    source: { selector: { matchLabels: Record<string, string> } };
  };
  status: {
    readyToUse: boolean;
    groupSnapshotHandle?: string;
    deletionPolicy?: ReclaimPolicy;
    creationTime?: string;
    /** The VolumeSnapshots that were made, one a claim. */
    members: { claimName: string; snapshotName: string; snapshotHandle: string }[];
    conditions: ObjectCondition[];
  };
}

export interface VolumeMount {
  name: string;
  mountPath: string;
  subPath: string;
  readOnly: boolean;
}

export interface PodVolume {
  name: string;
  persistentVolumeClaim?: { claimName: string; readOnly: boolean };
  /** Generic ephemeral: a claim of the pod's own, named POD-VOLUME. */
  ephemeral?: { volumeClaimTemplate: { metadata: { labels: Record<string, string> }; spec: ClaimSpec } };
  /** CSI inline ephemeral. */
  csi?: { driver: string; readOnly: boolean; fsType: string; volumeAttributes: Record<string, string> };
  /** A volume of another sort (emptyDir, configMap ...), by its key: not Granary's, left alone with an event. */
  other?: string;
}

export interface Container {
  name: string;
  volumeMounts: VolumeMount[];
  volumeDevices: { name: string; devicePath: string }[];
}

export interface Pod extends Base<"Pod"> {
  spec: {
    volumes: PodVolume[];
    containers: Container[];
    initContainers: Container[];
    fsGroup?: number;
    nodeSelector: Record<string, string>;
  };
  status: {
    phase: "Pending" | "Running" | "Failed";
    nodeName?: string;
    /** Where each volume was published, and each container's mount of it: what a container runtime would be given. */
    volumes: { name: string; path: string; readOnly: boolean }[];
    mounts: { container: string; mountPath: string; hostPath: string; readOnly: boolean }[];
    devices: { container: string; devicePath: string; hostPath: string }[];
    conditions: ObjectCondition[];
  };
}

/** Made by the provisioner, as external-attacher would: which volume is published to which node. */
export interface VolumeAttachment extends Base<"VolumeAttachment"> {
  spec: { attacher: string; nodeName: string; source: { persistentVolumeName: string } };
  status: { attached: boolean; attachmentMetadata: Record<string, string>; attachError?: string };
}

export interface ObjectOf {
  StorageClass: StorageClass;
  PersistentVolumeClaim: PersistentVolumeClaim;
  PersistentVolume: PersistentVolume;
  VolumeAttributesClass: VolumeAttributesClass;
  VolumeSnapshotClass: VolumeSnapshotClass;
  VolumeSnapshot: VolumeSnapshot;
  VolumeGroupSnapshotClass: VolumeGroupSnapshotClass;
  VolumeGroupSnapshot: VolumeGroupSnapshot;
  Pod: Pod;
  VolumeAttachment: VolumeAttachment;
}

export type Kind = keyof ObjectOf;
export type AnyObject = ObjectOf[Kind];

export interface EventRecord {
  type: "Normal" | "Warning";
  reason: string;
  message: string;
  /** How often it happened, and when first and last (RFC 3339). */
  count: number;
  firstTimestamp: string;
  lastTimestamp: string;
}

/** Where the objects are kept. Reads are from memory; a write is durable once its promise settles. */
export interface ObjectStore {
  list<K extends Kind>(kind: K): ObjectOf[K][];
  get<K extends Kind>(kind: K, namespace: string, name: string): ObjectOf[K] | undefined;
  put(object: AnyObject): Promise<void>;
  /** Removes the object and its events. */
  remove(object: AnyObject): Promise<void>;
  /** The same reason and message again raises its count. */
  event(object: AnyObject, type: EventRecord["type"], reason: string, message: string): Promise<void>;
  events(object: AnyObject): EventRecord[];
}
