import { stringify } from "yaml";
import { kindInfo } from "./kinds.js";
import type { AnyObject, ClaimSpec, DataSource, Pod } from "./objects.js";

type Plain = Record<string, unknown>;

/** An object as Kubernetes would write it: what `apply` reads again, without fields that only the store needs. */
export function toManifest(object: AnyObject): Plain {
  const { apiVersion, kind, metadata, ...rest } = object as AnyObject & Plain;
  const { name, namespace, uid, creationTimestamp, deletionTimestamp, labels, annotations, finalizers } = metadata;
  const meta = {
    name,
    ...(kindInfo(kind).namespaced ? { namespace } : {}),
    uid,
    creationTimestamp,
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    ...filled({ labels, annotations, finalizers }),
  };
  return { apiVersion, kind, metadata: meta, ...body(object, rest) };
}

/** `-o json` or `yaml`: one object as it is, several as a v1 List. */
export function printObjects(objects: readonly AnyObject[], format: "json" | "yaml", single: boolean): string {
  const items = objects.map(toManifest);
  const value = single && items.length === 1 ? items[0] : { apiVersion: "v1", kind: "List", items };
  return format === "json"
    ? `${JSON.stringify(value, null, 2)}\n`
    : stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });
}

function body(object: AnyObject, rest: Plain): Plain {
  switch (object.kind) {
    case "PersistentVolumeClaim":
      return { spec: claimManifest(object.spec), status: object.status };
    case "PersistentVolume": {
      const { mountOptions, ...spec } = object.spec;
      return { spec: { ...spec, ...filled({ mountOptions }) }, status: object.status };
    }
    case "Pod":
      return { spec: podManifest(object.spec), status: object.status };
    case "StorageClass": {
      const { parameters, mountOptions, allowedTopologies, ...fields } = rest;
      return { ...fields, ...filled({ parameters, mountOptions, allowedTopologies }) };
    }
    default:
      return rest;
  }
}

function claimManifest(spec: ClaimSpec): Plain {
  const source = ({ apiGroup, ...named }: DataSource) => (apiGroup === "" ? named : { apiGroup, ...named });
  return {
    ...spec,
    ...(spec.dataSource ? { dataSource: source(spec.dataSource) } : {}),
    ...(spec.dataSourceRef ? { dataSourceRef: source(spec.dataSourceRef) } : {}),
  };
}

function podManifest({ fsGroup, volumes, ...spec }: Pod["spec"]): Plain {
  const container = ({ name, volumeMounts, volumeDevices }: Pod["spec"]["containers"][number]) => ({
    name,
    ...filled({
      volumeMounts: volumeMounts.map(({ subPath, ...mount }) => (subPath === "" ? mount : { ...mount, subPath })),
      volumeDevices,
    }),
  });
  return {
    ...(fsGroup === undefined ? {} : { securityContext: { fsGroup } }),
    ...filled({ nodeSelector: spec.nodeSelector }),
    volumes: volumes.map(({ other, ephemeral, ...volume }) => ({
      ...volume,
      ...(other === undefined ? {} : { [other]: {} }),
      ...(ephemeral === undefined
        ? {}
        : {
            ephemeral: {
              volumeClaimTemplate: {
                metadata: ephemeral.volumeClaimTemplate.metadata,
                spec: claimManifest(ephemeral.volumeClaimTemplate.spec),
              },
            },
          }),
    })),
    ...filled({ initContainers: spec.initContainers.map(container) }),
    containers: spec.containers.map(container),
  };
}

/** The entries that hold something. */
function filled(fields: Plain): Plain {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => Object.keys(Object(value)).length > 0));
}
