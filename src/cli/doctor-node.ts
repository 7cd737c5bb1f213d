import * as fs from "node:fs/promises";
import { join } from "node:path";
import { interruptions, MARKERS } from "../../node/interruption.js";
import { type NodeVolume, nodeState } from "../../node/node-state.js";
import { presenceOfDevices } from "../../node/truth.js";
import { messageOf } from "../errors/storage-error.js";
import { errorFinding as at, type Finding } from "../model/finding.js";
import type { Volume } from "../model/volume.js";
import { isLocal, isOurs } from "../model/volume-id.js";
import { fileIdentity, type Loop } from "../os/loop.js";
import type { MountEntry } from "../os/mount.js";
import { checkPlaces } from "./doctor-places.js";

/** What the node half of the doctor works on: one moment of kernel and registry. */
export interface NodeScene {
  stateDir: string;
  poolDir: string;
  /** Undefined when there is no registry to compare with. */
  volumes: readonly Volume[] | undefined;
  loops: readonly Loop[];
  mounts: readonly MountEntry[];
}

/** A loop device whose backing file lies, or lay, in the pool or among the ephemeral volumes. */
interface OwnLoop {
  loop: Loop;
  type: "volume" | "snapshot" | "ephemeral" | "other";
  id: string;
  image: string;
  deleted: boolean;
}

const DELETED = " (deleted)";
/** Loop devices, mounts and the node's records, each against the others. */
export async function checkNode(scene: NodeScene) {
  const { known, findings } = await readNodeRecords(scene.stateDir);
  const own = ownLoops(scene);
  const ofVolume = (volume: NodeVolume) =>
    scene.loops.filter((loop) => loop.identity === volume.identity || loop.backingPath === volume.publishContext.image);
  for (const volume of known.filter(({ volumeId }) => isLocal(volumeId))) {
    findings.push(...checkKnownVolume(scene.volumes, volume));
    findings.push(...(await checkPlaces(volume, presenceOfDevices(ofVolume(volume)))));
  }
  for (const owned of own) findings.push(...(await checkLoop(scene.volumes, owned, known)));
  findings.push(...checkTwins(own));
  const mounts = scene.mounts.filter((entry) => own.some(({ loop }) => shows(entry, loop)));
  findings.push(...(await checkMounts(mounts, own, known)));
  findings.push(...(await checkEphemeral(scene, own, mounts)), ...(await checkInterrupted(scene.stateDir)));
  return { findings, loops: own.length, mounts: mounts.length };
}

async function namesIn(folder: string): Promise<string[]> {
  return fs.readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw error;
  });
}

async function readNodeRecords(stateDir: string): Promise<{ known: NodeVolume[]; findings: Finding[] }> {
  const state = nodeState(stateDir);
  const known: NodeVolume[] = [];
  const findings: Finding[] = [];
  for (const name of (await namesIn(stateDir)).filter((entry) => entry !== "ephemeral" && entry !== MARKERS)) {
    const path = join(stateDir, name);
    const id = name.replace(/\.json$/, "");
    if (id === name || !isOurs(id, "v")) {
      const next = "nothing reads it: it may be removed";
      findings.push({ ...at("stray-file", path, "not a record of the node", next), severity: "warning" });
      continue;
    }
    try {
      const volume = await state.read(id);
      if (volume) known.push(volume);
    } catch (error) {
      const next = "unmount what is mounted of this volume, detach its loop device, then remove the record";
      findings.push(at("node-record-damaged", path, messageOf(error), next));
    }
  }
  return { known, findings };
}

function checkKnownVolume(volumes: readonly Volume[] | undefined, { volumeId, stages }: NodeVolume): Finding[] {
  if (!volumes) return [];
  const volume = volumes.find(({ id }) => id === volumeId);
  if (!volume) {
    const what = "staged or published on this node, and not in the registry";
    return [at("node-record-unknown", volumeId, what, "unpublish and unstage it (NodeUnpublish, NodeUnstage)")];
  }
  if (volume.publications.length === 0 && Object.keys(stages).length > 0) {
    const what = "staged on this node, and the controller has published it to none";
    const next = "unstage it, or publish it again (ControllerPublishVolume)";
    return [{ ...at("staged-unpublished", volumeId, what, next), severity: "warning" }];
  }
  return [];
}

function ownLoops({ loops, poolDir, stateDir }: NodeScene): OwnLoop[] {
  const own: OwnLoop[] = [];
  const ephemeralDir = join(stateDir, "ephemeral");
  for (const loop of loops) {
    const deleted = loop.backingPath.endsWith(DELETED);
    const image = deleted ? loop.backingPath.slice(0, -DELETED.length) : loop.backingPath;
    const inPool = image.startsWith(`${poolDir}/`);
    if (!inPool && !image.startsWith(`${ephemeralDir}/`)) continue;
    const [kind = "", id = "", file = ""] = image.slice((inPool ? poolDir : ephemeralDir).length + 1).split("/");
    if (!inPool) own.push({ loop, type: "ephemeral", id: kind, image, deleted });
    else if (kind === "volumes" && file === "image") own.push({ loop, type: "volume", id, image, deleted });
    else own.push({ loop, type: kind === "snapshots" ? "snapshot" : "other", id, image, deleted });
  }
  return own;
}

async function checkLoop(
  volumes: readonly Volume[] | undefined,
  { loop, type, id, image, deleted }: OwnLoop,
  known: readonly NodeVolume[],
): Promise<Finding[]> {
  const { device } = loop;
  const detach = `see who uses it (findmnt, lsof), then: losetup --detach ${device}`;
  const now = await fileIdentity(image).catch(() => undefined);
  if (deleted || now === undefined)
    return [at("loop-deleted", device, `its image ${image} is deleted, and keeps its space until then`, detach)];
  if (now !== loop.identity)
    return [at("loop-replaced", device, `${image} is another file now than the one it is attached to`, detach)];
  if (type === "snapshot" || type === "other")
    return [at("loop-foreign", device, `attached to ${image}, which no volume is`, detach)];
  if (type === "ephemeral") return [];
  if (volumes && !volumes.some((volume) => volume.id === id))
    return [at("loop-orphan", device, `attached to volume ${id}, which is not in the registry`, detach)];
  if (!known.some((volume) => volume.volumeId === id))
    return [at("loop-unknown", device, `attached to volume ${id}, which this node has not staged`, detach)];
  return [];
}

/** One image on two devices of the same kind: two caches of the same blocks. */
function checkTwins(own: readonly OwnLoop[]): Finding[] {
  const first = new Map<string, string>();
  const findings: Finding[] = [];
  for (const { loop } of own) {
    const key = `${loop.identity} ${loop.readonly}`;
    const other = first.get(key);
    if (other === undefined) first.set(key, loop.device);
    else {
      const next = `unmount and detach the one that is not in use, before both are written to`;
      findings.push(at("loop-twice", loop.device, `attached to the same image as ${other}`, next));
    }
  }
  return findings;
}

// A raw device at a target is a bind mount of the device's own file in /dev.
const shows = (entry: MountEntry, { device }: Loop) =>
  entry.source === device || (["devtmpfs", "tmpfs"].includes(entry.fsType) && `/dev${entry.root}` === device);

async function checkMounts(
  mounts: readonly MountEntry[],
  own: readonly OwnLoop[],
  known: readonly NodeVolume[],
): Promise<Finding[]> {
  const recorded = new Set<string>();
  for (const path of known.flatMap((volume) => [...Object.keys(volume.stages), ...Object.keys(volume.targets)]))
    recorded.add(await fs.realpath(path).catch(() => path));
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const entry of mounts) {
    const { mountPoint } = entry;
    const owner = own.find(({ loop }) => shows(entry, loop));
    if (seen.has(mountPoint)) {
      const next = `unmount the upper one: umount ${mountPoint}`;
      findings.push(at("mount-stacked", mountPoint, "more than one of our mounts lies on it", next));
      continue;
    }
    seen.add(mountPoint);
    // The folder of an ephemeral volume is its whole record: its target is written nowhere.
    if (owner?.type === "ephemeral" || recorded.has(mountPoint)) continue;
    const next = `see who uses it, then: umount ${mountPoint}`;
    findings.push(
      at("mount-unknown", mountPoint, `shows volume ${owner?.id ?? ""}, and no record of the node says so`, next),
    );
  }
  return findings;
}

async function checkInterrupted(stateDir: string): Promise<Finding[]> {
  const next = "start granary up (or granary node), which settles it; beside a running server: wait for its end";
  return (await interruptions(stateDir).list()).map((id) =>
    at("node-interrupted", id, "an operation of the node on it has not ended", next),
  );
}

async function checkEphemeral(
  scene: NodeScene,
  own: readonly OwnLoop[],
  mounts: readonly MountEntry[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const id of await namesIn(join(scene.stateDir, "ephemeral"))) {
    const loops = own.filter((owned) => owned.type === "ephemeral" && owned.id === id);
    if (mounts.some((entry) => loops.some(({ loop }) => shows(entry, loop)))) continue;
    const next = "if its pod is gone, call NodeUnpublishVolume for it, which removes it";
    findings.push(at("ephemeral-unmounted", id, "an ephemeral volume that is mounted nowhere", next));
  }
  return findings;
}
