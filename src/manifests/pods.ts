import { mkdir } from "node:fs/promises";
import { setCondition } from "./conditions.js";
import { podFolder } from "./kubelet-paths.js";
import { claimNameOf, podsOf } from "./lookup.js";
import { allowsNode, nodeLabels } from "./node-affinity.js";
import type { PersistentVolumeClaim, Pod } from "./objects.js";
import { type PlannedVolume, planVolumes, publish, unpublishAll } from "./pod-volumes.js";
import { type Controller, guard, Refusal, type Session, show, Wait } from "./session.js";
import { resolveSubPath } from "./sub-path.js";

const POD_FINALIZER = "csi.granary.dev/published-volumes";
const OWNER_POD = "csi.granary.dev/owner-pod-uid";

/** Publishes a pod's volumes, as the scheduler, the attach/detach controller and kubelet do together. */
export const podVolumes: Controller<"Pod"> = {
  kind: "Pod",
  failure: "FailedMount",
  condition: { type: "Ready", status: "False" },
  async run(session, pod) {
    if (pod.metadata.deletionTimestamp !== undefined) return;
    const guarded = await session.update(pod, (draft) => guard(draft, POD_FINALIZER));
    refuseOtherNode(session, guarded);
    await makeEphemeralClaims(session, guarded);
    const planned = planVolumes(session, guarded);
    refuseUnreachable(session, planned);
    refuseSecondUser(session, guarded);
    // Placed before the first volume is attached: from here on its deletion has something to take back.
    const placed = await session.update(guarded, (draft) => {
      draft.status.nodeName = session.node.id;
    });
    await mkdir(podFolder(session.options.dataDir, placed), { recursive: true, mode: 0o750 });
    const paths = new Map<string, string>();
    for (const volume of planned) {
      if (volume.type === "other")
        await session.event(placed, "Normal", "VolumeIgnored", `volume ${volume.name} is no storage of Granary's`);
      else paths.set(volume.name, await publish(session, placed, volume));
    }
    await run(session, placed, planned, paths);
  },
};

async function run(
  session: Session,
  pod: Pod,
  planned: readonly PlannedVolume[],
  paths: ReadonlyMap<string, string>,
): Promise<void> {
  const isReadOnly = (name: string) =>
    planned.some((one) => one.name === name && (one.type === "volume" ? one.readOnly : false));
  const status: Pick<Pod["status"], "volumes" | "mounts" | "devices"> = { volumes: [], mounts: [], devices: [] };
  for (const [name, path] of paths) status.volumes.push({ name, path, readOnly: isReadOnly(name) });
  for (const container of [...pod.spec.initContainers, ...pod.spec.containers]) {
    for (const mount of container.volumeMounts) {
      const path = paths.get(mount.name);
      if (path === undefined) continue;
      const hostPath = mount.subPath === "" ? path : await resolveSubPath(path, mount.subPath);
      const readOnly = mount.readOnly || isReadOnly(mount.name);
      status.mounts.push({ container: container.name, mountPath: mount.mountPath, hostPath, readOnly });
    }
    for (const { name, devicePath } of container.volumeDevices) {
      const hostPath = paths.get(name);
      if (hostPath !== undefined) status.devices.push({ container: container.name, devicePath, hostPath });
    }
  }
  const first = pod.status.phase !== "Running";
  await session.update(pod, (draft) => {
    Object.assign(draft.status, status, { phase: "Running" });
    setCondition(draft, { type: "Ready", status: "True", reason: "VolumesPublished", message: "" });
  });
  if (first) await session.event(pod, "Normal", "VolumesPublished", "all volumes are published");
}

function refuseOtherNode(session: Session, pod: Pod): void {
  const labels = nodeLabels(session.node);
  for (const [key, value] of Object.entries(pod.spec.nodeSelector)) {
    if (labels[key] === value) continue;
    const has = labels[key] === undefined ? "does not have" : `has as ${labels[key]}`;
    throw new Refusal(
      "FailedScheduling",
      `nodeSelector asks for ${key}=${value}, which node ${session.node.id} ${has}`,
    );
  }
}

function refuseUnreachable(session: Session, planned: readonly PlannedVolume[]): void {
  for (const entry of planned) {
    if (entry.type !== "volume" || allowsNode(entry.volume.spec.nodeAffinity, session.node)) continue;
    throw new Refusal(
      "FailedScheduling",
      `volume ${entry.name}: nodeAffinity of ${show(entry.volume)} leaves out node ${session.node.id}`,
    );
  }
}

/** A ReadWriteOncePod claim belongs to the first pod alone, until that pod is gone. */
function refuseSecondUser(session: Session, pod: Pod): void {
  if (pod.status.nodeName !== undefined) return;
  for (const entry of pod.spec.volumes) {
    const name = claimNameOf(pod, entry);
    const claim =
      name === undefined ? undefined : session.store.get("PersistentVolumeClaim", pod.metadata.namespace, name);
    if (!claim?.spec.accessModes.includes("ReadWriteOncePod")) continue;
    const others = podsOf(session, claim).filter((other) => other.metadata.uid !== pod.metadata.uid);
    const holder = others.find((other) => other.status.nodeName !== undefined);
    if (holder) throw new Wait("FailedScheduling", `${show(claim)} is ReadWriteOncePod and in use by ${show(holder)}`);
  }
}

async function makeEphemeralClaims(session: Session, pod: Pod): Promise<void> {
  const { namespace, name, uid } = pod.metadata;
  for (const entry of pod.spec.volumes) {
    if (!entry.ephemeral) continue;
    const claimName = `${name}-${entry.name}`;
    const present = session.store.get("PersistentVolumeClaim", namespace, claimName);
    if (present?.metadata.annotations[OWNER_POD] === uid) continue;
    if (present)
      throw new Refusal("FailedScheduling", `${show(present)} was not made for this pod; it would be used by mistake`);
    const { metadata, spec } = entry.ephemeral.volumeClaimTemplate;
    const claim: PersistentVolumeClaim = {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: {
        name: claimName,
        namespace,
        uid: crypto.randomUUID(),
        creationTimestamp: new Date().toISOString(),
        labels: { ...metadata.labels },
        annotations: { [OWNER_POD]: uid },
        finalizers: [],
      },
      spec: structuredClone(spec),
      status: { phase: "Pending", accessModes: [], conditions: [] },
    };
    await session.create(claim);
  }
}

/** Takes a deleted pod's volumes away again, and its own claims with it. */
export const podTeardown: Controller<"Pod"> = {
  kind: "Pod",
  failure: "FailedUnmount",
  condition: { type: "Terminating", status: "False" },
  async run(session, pod) {
    if (pod.metadata.deletionTimestamp === undefined) return;
    if (pod.status.nodeName !== undefined) await unpublishAll(session, pod);
    for (const entry of pod.spec.volumes) {
      if (!entry.ephemeral) continue;
      const name = `${pod.metadata.name}-${entry.name}`;
      const claim = session.store.get("PersistentVolumeClaim", pod.metadata.namespace, name);
      if (claim?.metadata.annotations[OWNER_POD] === pod.metadata.uid) await session.requestDeletion(claim);
    }
    await session.release(pod, POD_FINALIZER);
  },
};
