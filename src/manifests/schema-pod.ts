import { z } from "zod";
import { nearest } from "../model/nearest.js";
import { claimSpec } from "./schema-claim.js";
import { containerPath, flag, label, labels, name, parameters, strict, string, subPath } from "./schema-field.js";

const words = (text: string) => text.trim().split(/\s+/);

// core/v1 PodSpec, Container and Volume: what the API knows and storage does not need.
const POD_FIELDS = words(`activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy
  enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride
  imagePullSecrets nodeName os overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims
  resources restartPolicy runtimeClassName schedulerName schedulingGates serviceAccount serviceAccountName
  setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations
  topologySpreadConstraints workloadRef`);
const CONTAINER_FIELDS = words(`args command env envFrom image imagePullPolicy lifecycle livenessProbe ports
  readinessProbe resizePolicy resources restartPolicy restartPolicyRules securityContext startupProbe stdin stdinOnce
  terminationMessagePath terminationMessagePolicy tty workingDir`);
const SECURITY_FIELDS = words(`appArmorProfile fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxChangePolicy
  seLinuxOptions seccompProfile supplementalGroups supplementalGroupsPolicy sysctls windowsOptions`);
const OTHER_SOURCES = words(`awsElasticBlockStore azureDisk azureFile cephfs cinder configMap downwardAPI emptyDir fc
  flexVolume flocker gcePersistentDisk gitRepo glusterfs hostPath image iscsi nfs photonPersistentDisk
  portworxVolume projected quobyte rbd scaleIO secret storageos vsphereVolume`);
const OUR_SOURCES = ["persistentVolumeClaim", "ephemeral", "csi"] as const;

const claimSource = strict({ claimName: name, readOnly: flag.default(false) });
const ephemeralSource = strict({
  volumeClaimTemplate: strict({
    metadata: strict({ labels: labels.default(() => ({})) }, ["annotations", "creationTimestamp"]).default(() => ({
      labels: {},
    })),
    spec: claimSpec,
  }),
});
const inlineSource = strict(
  {
    driver: name,
    readOnly: flag.default(false),
    fsType: string.default(""),
    volumeAttributes: parameters.default(() => ({})),
  },
  [],
  { nodePublishSecretRef: "secrets are not supported; leave the field out" },
);

const volume = z
  .looseObject({ name: label }, { error: "must be a volume" })
  .transform((raw, context) => {
    const sources = Object.keys(raw).filter((key) => key !== "name");
    const known = [...OUR_SOURCES, ...OTHER_SOURCES];
    for (const key of sources.filter((source) => !known.includes(source)))
      context.addIssue({
        code: "custom",
        message: `unknown field ${JSON.stringify(key.slice(0, 100))}; did you mean ${JSON.stringify(nearest(key, known))}?`,
      });
    // Without a source Kubernetes takes it for an emptyDir.
    const [source = "emptyDir", ...more] = sources;
    if (more.length > 0)
      context.addIssue({
        code: "custom",
        message: `has ${sources.length} sources (${sources.join(", ").slice(0, 200)}); it must have one`,
      });
    return OTHER_SOURCES.includes(source) ? { name: raw.name, other: source } : raw;
  })
  .pipe(
    strict({
      name: label,
      persistentVolumeClaim: claimSource.exactOptional(),
      ephemeral: ephemeralSource.exactOptional(),
      csi: inlineSource.exactOptional(),
      other: string.exactOptional(),
    }),
  );

const volumeMount = strict(
  { name: label, mountPath: containerPath, subPath: subPath.default(""), readOnly: flag.default(false) },
  ["mountPropagation", "recursiveReadOnly"],
  { subPathExpr: "needs a running container's environment; use subPath" },
);
const volumeDevice = strict({ name: label, devicePath: containerPath });
const container = strict(
  {
    name: label,
    volumeMounts: z.array(volumeMount, { error: "must be a list" }).default(() => []),
    volumeDevices: z.array(volumeDevice, { error: "must be a list" }).default(() => []),
  },
  CONTAINER_FIELDS,
);
const securityContext = strict(
  {
    fsGroup: z
      .int({ error: "must be a whole number" })
      .min(0, "must not be negative")
      .max(2 ** 31 - 1, "must be less than 2^31")
      .exactOptional(),
  },
  SECURITY_FIELDS,
);

type Container = z.output<typeof container>;

function doubled(values: readonly string[]): number {
  return values.findIndex((value, index) => values.indexOf(value) !== index);
}

/** What the volumes and the mounts must be for one another: core/v1's ValidateVolumeMounts and ValidateVolumeDevices. */
function checkContainer(
  container: Container,
  path: (string | number)[],
  volumes: readonly string[],
  context: z.RefinementCtx,
) {
  const uses = [
    ["volumeMounts", container.volumeMounts.map((mount) => [mount.name, mount.mountPath])],
    ["volumeDevices", container.volumeDevices.map((device) => [device.name, device.devicePath])],
  ] as const;
  for (const [field, entries] of uses) {
    for (const [index, [used = ""]] of entries.entries()) {
      if (volumes.includes(used)) continue;
      const hint = volumes.length > 0 ? `; did you mean ${JSON.stringify(nearest(used, volumes))}?` : "";
      context.addIssue({
        code: "custom",
        path: [...path, field, index, "name"],
        message: `the pod has no volume ${JSON.stringify(used)}${hint}`,
      });
    }
    const twice = doubled(entries.map(([, where = ""]) => where));
    if (twice >= 0)
      context.addIssue({
        code: "custom",
        path: [...path, field, twice],
        message: `${entries[twice]?.[1]} is used twice in this container`,
      });
  }
  const both = container.volumeMounts.find((mount) =>
    container.volumeDevices.some((device) => device.name === mount.name),
  );
  if (both)
    context.addIssue({
      code: "custom",
      path,
      message: `volume ${both.name} is in volumeMounts and in volumeDevices; it is either a filesystem or a device`,
    });
}

export const podSpec = strict(
  {
    volumes: z.array(volume, { error: "must be a list" }).default(() => []),
    containers: z.array(container, { error: "must be a list" }).min(1, "must hold at least one container"),
    initContainers: z.array(container, { error: "must be a list" }).default(() => []),
    nodeSelector: labels.default(() => ({})),
    securityContext: securityContext.default(() => ({})),
  },
  POD_FIELDS,
)
  .superRefine((spec, context) => {
    const volumes = spec.volumes.map((entry) => entry.name);
    const twice = doubled(volumes);
    if (twice >= 0)
      context.addIssue({
        code: "custom",
        path: ["volumes", twice, "name"],
        message: `a second volume ${volumes[twice]}`,
      });
    const names = [...spec.containers, ...spec.initContainers].map((entry) => entry.name);
    const again = doubled(names);
    if (again >= 0)
      context.addIssue({ code: "custom", path: ["containers"], message: `two containers are named ${names[again]}` });
    for (const field of ["containers", "initContainers"] as const)
      for (const [index, entry] of spec[field].entries()) checkContainer(entry, [field, index], volumes, context);
  })
  .transform(({ securityContext: { fsGroup }, ...spec }) => (fsGroup === undefined ? spec : { ...spec, fsGroup }));
