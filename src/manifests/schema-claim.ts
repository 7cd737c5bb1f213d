import { z } from "zod";
import { parseSize } from "../model/size.js";
import { accessModes, labels, name, oneOf, quantity, strict, string } from "./schema-field.js";

const SNAPSHOT_GROUP = "snapshot.storage.k8s.io";

const dataSource = strict({ apiGroup: string.default(""), kind: string, name }, [], {
  namespace: "a source in another namespace is not supported; leave the field out",
}).superRefine((source, context) => {
  const group = { VolumeSnapshot: SNAPSHOT_GROUP, PersistentVolumeClaim: "" }[source.kind];
  if (group === undefined) {
    context.addIssue({
      code: "custom",
      path: ["kind"],
      message: `${JSON.stringify(source.kind.slice(0, 100))} cannot be a volume's source; use VolumeSnapshot or PersistentVolumeClaim`,
    });
  } else if (group !== source.apiGroup) {
    const right = group === "" ? "no apiGroup" : `apiGroup ${group}`;
    context.addIssue({ code: "custom", path: ["apiGroup"], message: `a ${source.kind} has ${right}` });
  }
});

const selector = strict({ matchLabels: labels.default(() => ({})) }, [], {
  matchExpressions: "only matchLabels is supported",
});

export const claimSpec = strict({
  accessModes,
  volumeMode: oneOf("Filesystem", "Block").default("Filesystem"),
  resources: strict({
    requests: strict({ storage: quantity }),
    limits: strict({ storage: quantity }).exactOptional(),
  }),
  storageClassName: z
    .union([z.literal(""), name], { error: 'must be a class\'s name, or "" for none' })
    .exactOptional(),
  volumeName: name.exactOptional(),
  selector: selector.exactOptional(),
  dataSource: dataSource.exactOptional(),
  dataSourceRef: dataSource.exactOptional(),
  volumeAttributesClassName: name.exactOptional(),
}).superRefine((spec, context) => {
  const { dataSource: source, dataSourceRef: reference } = spec;
  if (source && reference && (source.kind !== reference.kind || source.name !== reference.name))
    context.addIssue({
      code: "custom",
      path: ["dataSourceRef"],
      message: "must be the same as dataSource, or one of them left out",
    });
  if (spec.selector && (source || reference))
    context.addIssue({ code: "custom", path: ["selector"], message: "cannot be used together with a dataSource" });
  const { requests, limits } = spec.resources;
  if (limits && parseSize("limits", limits.storage) < parseSize("requests", requests.storage))
    context.addIssue({
      code: "custom",
      path: ["resources", "limits", "storage"],
      message: "is less than requests.storage",
    });
});
