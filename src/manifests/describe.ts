import { showModes, showPhase, showQuantity } from "./columns.js";
import { isDefaultClass } from "./default-class.js";
import type { AnyObject, NodeAffinity, ObjectOf, ObjectStore, Pod, PodVolume } from "./objects.js";

/** A line of a description: its name and its value, or several values below one another. */
export type Field = [string, string | readonly string[]];

const NONE = "<none>";
const UNSET = "<unset>";

export const pairs = (map: Record<string, string>): string[] => {
  const lines = Object.entries(map).map(([key, value]) => `${key}=${value}`);
  return lines.length > 0 ? lines.sort() : [NONE];
};

const orNone = (values: readonly string[]) => (values.length > 0 ? values : [NONE]);

/** What kubectl describe says of each kind, as far as it concerns storage, without conditions and events. */
export function describeFields(object: AnyObject, store: ObjectStore): Field[] {
  switch (object.kind) {
    case "StorageClass":
      return [
        ["IsDefaultClass", isDefaultClass(object) ? "Yes" : "No"],
        ["Provisioner", object.provisioner],
        ["Parameters", pairs(object.parameters)],
        ["AllowVolumeExpansion", String(object.allowVolumeExpansion)],
        ["MountOptions", orNone(object.mountOptions)],
        ["ReclaimPolicy", object.reclaimPolicy],
        ["VolumeBindingMode", object.volumeBindingMode],
        [
          "AllowedTopologies",
          orNone(
            object.allowedTopologies.flatMap(({ matchLabelExpressions }) =>
              matchLabelExpressions.map(({ key, values }) => `${key} in ${values.join(", ")}`),
            ),
          ),
        ],
      ];
    case "VolumeAttributesClass":
      return [
        ["DriverName", object.driverName],
        ["Parameters", pairs(object.parameters)],
      ];
    case "VolumeSnapshotClass":
    case "VolumeGroupSnapshotClass":
      return [
        ["IsDefaultClass", isDefaultClass(object) ? "Yes" : "No"],
        ["Driver", object.driver],
        ["DeletionPolicy", object.deletionPolicy],
        ["Parameters", pairs(object.parameters)],
      ];
    case "PersistentVolumeClaim":
      return claimFields(object, store);
    case "PersistentVolume":
      return volumeFields(object);
    case "VolumeSnapshot":
      return snapshotFields(object);
    case "VolumeGroupSnapshot":
      return groupSnapshotFields(object);
    case "Pod":
      return podFields(object);
    case "VolumeAttachment":
      return [
        ["Attacher", object.spec.attacher],
        ["Node", object.spec.nodeName],
        ["PersistentVolume", object.spec.source.persistentVolumeName],
        ["Attached", String(object.status.attached)],
        ["AttachmentMetadata", pairs(object.status.attachmentMetadata)],
        ["AttachError", object.status.attachError ?? NONE],
      ];
  }
}

function snapshotFields(object: ObjectOf["VolumeSnapshot"]): Field[] {
  return [
    ["Class", object.spec.volumeSnapshotClassName ?? UNSET],
    ["Source", `PersistentVolumeClaim ${object.spec.source.persistentVolumeClaimName}`],
    ["ReadyToUse", String(object.status.readyToUse)],
    ["RestoreSize", showQuantity(object.status.restoreSize) || NONE],
    ["CreationTime", object.status.creationTime ?? NONE],
    ["DeletionPolicy", object.status.deletionPolicy ?? NONE],
    ["SnapshotHandle", object.status.snapshotHandle ?? NONE],
    ["Group", object.status.volumeGroupSnapshotName ?? NONE],
  ];
}

function groupSnapshotFields(object: ObjectOf["VolumeGroupSnapshot"]): Field[] {
  return [
    ["Class", object.spec.volumeGroupSnapshotClassName ?? UNSET],
    ["Selector", pairs(object.spec.source.selector.matchLabels)],
    ["ReadyToUse", String(object.status.readyToUse)],
    ["CreationTime", object.status.creationTime ?? NONE],
    ["GroupSnapshotHandle", object.status.groupSnapshotHandle ?? NONE],
    ["Members", orNone(object.status.members.map((member) => `${member.claimName}: ${member.snapshotName}`))],
  ];
}

function claimFields(claim: ObjectOf["PersistentVolumeClaim"], store: ObjectStore): Field[] {
  const { spec, status, metadata } = claim;
  const source = spec.dataSourceRef ?? spec.dataSource;
  const usedBy = store
    .list("Pod")
    .filter((pod) => pod.metadata.namespace === metadata.namespace)
    .filter((pod) => pod.spec.volumes.some((volume) => claimOf(pod, volume) === metadata.name))
    .map((pod) => pod.metadata.name);
  return [
    ["StorageClass", spec.storageClassName ?? UNSET],
    ["VolumeAttributesClass", status.currentVolumeAttributesClassName ?? UNSET],
    ["Status", showPhase(claim, status.phase)],
    ["Volume", spec.volumeName ?? NONE],
    ["Requested", spec.resources.requests.storage],
    ["Capacity", showQuantity(status.capacity?.storage) || NONE],
    ["Access Modes", showModes(status.accessModes.length > 0 ? status.accessModes : spec.accessModes)],
    ["VolumeMode", spec.volumeMode],
    ["DataSource", source ? `${source.kind} ${source.name}` : NONE],
    ["Used By", orNone(usedBy)],
  ];
}

const claimOf = (pod: Pod, volume: PodVolume): string | undefined =>
  volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : volume.persistentVolumeClaim?.claimName;

function volumeFields({ spec, ...volume }: ObjectOf["PersistentVolume"]): Field[] {
  return [
    ["StorageClass", spec.storageClassName || NONE],
    ["Status", showPhase({ ...volume, spec }, volume.status.phase)],
    ["Claim", spec.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : NONE],
    ["Reclaim Policy", spec.persistentVolumeReclaimPolicy],
    ["Access Modes", showModes(spec.accessModes)],
    ["VolumeMode", spec.volumeMode],
    ["Capacity", showQuantity(spec.capacity.storage)],
    ["Node Affinity", affinityLines(spec.nodeAffinity)],
    ["Driver", spec.csi.driver],
    ["VolumeHandle", spec.csi.volumeHandle],
    ["FSType", spec.csi.fsType || NONE],
    ["ReadOnly", String(spec.csi.readOnly)],
    ["VolumeAttributes", pairs(spec.csi.volumeAttributes)],
  ];
}

/** A term a line, what it asks for joined by "and": one of the lines must hold. */
function affinityLines(affinity: NodeAffinity | undefined): readonly string[] {
  const terms = affinity?.required.nodeSelectorTerms ?? [];
  return orNone(
    terms.map(({ matchExpressions }) =>
      matchExpressions
        .map(({ key, operator, values }) => `${key} ${operator} ${values.join(", ")}`.trimEnd())
        .join(" and "),
    ),
  );
}

function podFields(pod: Pod): Field[] {
  const { spec, status } = pod;
  const access = (readOnly: boolean) => (readOnly ? "ro" : "rw");
  const source = (volume: PodVolume) => {
    const claim = claimOf(pod, volume);
    if (claim !== undefined) return `PersistentVolumeClaim ${claim}`;
    return volume.csi ? `CSI ${volume.csi.driver}` : `${volume.other} (not granary's)`;
  };
  return [
    ["Node", status.nodeName ?? NONE],
    ["Status", showPhase(pod, status.phase)],
    ["Volumes", orNone(spec.volumes.map((volume) => `${volume.name}: ${source(volume)}`))],
    [
      "Published",
      orNone(status.volumes.map((volume) => `${volume.name} at ${volume.path} (${access(volume.readOnly)})`)),
    ],
    [
      "Mounts",
      orNone(status.mounts.map((m) => `${m.container} ${m.mountPath} from ${m.hostPath} (${access(m.readOnly)})`)),
    ],
    ["Devices", orNone(status.devices.map((d) => `${d.container} ${d.devicePath} from ${d.hostPath}`))],
  ];
}
