/**
 * What `granary doctor` checks of the local engine: the registry against itself and against the pool. Reads only, and
 * makes no file: neither in the data dir nor in the pool.
 */
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../errors/storage-error.js";
import { errorFinding as error, type Finding, warningFinding as warning } from "../../model/finding.js";
import { MULTI_NODE, type Snapshot, type Volume } from "../../model/volume.js";
import { fileIdentity } from "../../os/loop.js";
import type { FormatRecord } from "../format-record.js";
import { readFormatRecord } from "./format-file.js";
import { imageIn, type Pool, snapshotDir, volumeDir } from "./pool.js";
import type { Intent } from "./registry.js";
import type { RegistryContents } from "./registry-copy.js";

const BUG = "keep a copy of the registry folder and report it: no sequence of calls should lead here";

/** Names, groups and publications: what the registry's tables say of each other. */
export function checkRegistry(contents: RegistryContents): Finding[] {
  const { volumes, snapshots, groups, names } = contents;
  const found: Finding[] = [];
  const idOf = new Map(names.map(({ key, id }) => [key, id]));
  const named = [
    ...volumes.map((volume) => ({ key: `volume:${volume.name}`, id: volume.id })),
    ...snapshots.filter((s) => s.groupId === "").map((s) => ({ key: `snapshot:${s.name}`, id: s.id })),
    ...groups.map((group) => ({ key: `group:${group.name}`, id: group.id })),
  ];
  for (const { key, id } of named) {
    const owner = idOf.get(key);
    if (owner === id) continue;
    const what =
      owner === undefined ? `its name ${key} is not in the names table` : `its name ${key} belongs to ${owner}`;
    found.push(error("name-missing", id, `${what}; a repeated create makes a second one`, BUG));
  }
  const known = new Set([...volumes, ...snapshots, ...groups].map(({ id }) => id));
  for (const { key, id } of names) {
    if (!known.has(id)) found.push(error("name-dangling", key, `the name stands for ${id}, which does not exist`, BUG));
  }
  const groupOf = new Map(groups.map((group) => [group.id, group]));
  for (const snapshot of snapshots) {
    if (snapshot.groupId !== "" && !groupOf.get(snapshot.groupId)?.snapshotIds.includes(snapshot.id))
      found.push(
        error("group-unknown", snapshot.id, `it names group ${snapshot.groupId}, which does not have it`, BUG),
      );
  }
  const snapshotIds = new Set(snapshots.map(({ id }) => id));
  for (const group of groups) {
    const missing = group.snapshotIds.filter((id) => !snapshotIds.has(id));
    if (missing.length > 0) {
      const next = `a group that is not whole restores nothing consistent: delete it (DeleteVolumeGroupSnapshot)`;
      found.push(error("group-incomplete", group.id, `its members ${missing.join(", ")} do not exist`, next));
    }
  }
  for (const volume of volumes) {
    const nodes = volume.publications.map((publication) => publication.nodeId);
    if (nodes.length > 1 && volume.publications.some((publication) => !MULTI_NODE.has(publication.mode))) {
      const next = "unpublish it from all nodes but the one that uses it";
      found.push(error("published-twice", volume.id, `single-node, and published to ${nodes.join(", ")}`, next));
    }
  }
  return found;
}

/** Intents that nobody works on, or that last. */
export function checkIntents(intents: RegistryContents["intents"], serverRuns: boolean): Finding[] {
  return intents.map(({ key, intent }) =>
    serverRuns
      ? warning("intent-pending", key, `${intent.op} is still running`, "wait for it; if it stays, restart the server")
      : error("intent-pending", key, `${intent.op} was interrupted`, "start granary up: it finishes or undoes it"),
  );
}

function idsIn(intent: Intent): readonly string[] {
  return "snapshotIds" in intent ? intent.snapshotIds : [intent.volumeId];
}

/**
 * Images and format records against the registry. The pool must be there (see checkPoolPlace).
 *
 * @param attached the files that loop devices are made of, as `fileIdentity` writes them
 */
export async function checkImages(
  poolDir: string,
  contents: RegistryContents,
  attached: ReadonlySet<string>,
): Promise<Finding[]> {
  const pool = { dir: poolDir };
  // What an intent is about may be anywhere between before and after; the intent itself is reported.
  const unsettled = new Set(contents.intents.flatMap(({ intent }) => idsIn(intent)));
  const found: Finding[] = [];
  for (const volume of contents.volumes.filter(({ id }) => !unsettled.has(id)))
    found.push(...(await checkVolume(pool, volume, attached)));
  for (const snapshot of contents.snapshots.filter(({ id }) => !unsettled.has(id)))
    found.push(...(await checkSnapshot(pool, snapshot)));
  const volumeIds = new Set([...contents.volumes.map(({ id }) => id), ...unsettled]);
  const snapshotIds = new Set([...contents.snapshots.map(({ id }) => id), ...unsettled]);
  found.push(...(await checkOrphans(join(pool.dir, "volumes"), "volume", volumeIds)));
  found.push(...(await checkOrphans(join(pool.dir, "snapshots"), "snapshot", snapshotIds)));
  found.push(...(await checkOrphans(join(pool.dir, "trash"), "unfinished delete", unsettled)));
  for (const name of await namesIn(join(pool.dir, "new"))) {
    const next = "start granary up: it finishes or undoes it; beside a running server: wait for its end";
    found.push(error("create-unfinished", join(pool.dir, "new", name), "a volume that is being made", next));
  }
  return found;
}

async function namesIn(folder: string): Promise<string[]> {
  return fs.readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return [];
    throw cause;
  });
}

async function checkOrphans(folder: string, kind: string, known: ReadonlySet<string>): Promise<Finding[]> {
  return (await namesIn(folder))
    .filter((name) => !known.has(name))
    .map((name) => {
      const next = "nothing uses it: look at what it holds, then move it away or remove it";
      return error("orphan", join(folder, name), `no ${kind} of the registry owns it`, next);
    });
}

async function checkVolume(pool: Pick<Pool, "dir">, volume: Volume, attached: ReadonlySet<string>): Promise<Finding[]> {
  const dir = volumeDir(pool, volume.id);
  const found = await checkImage(dir, volume.id, "volume", volume.capacityBytes);
  if (found.some(({ check }) => check === "image-missing")) return found;
  const record = await recordOf(dir, volume.id, found);
  if (record === "damaged") return found;
  const copied = volume.source !== null;
  if (record === undefined) {
    if (copied) {
      const next = "it mounts if it holds a filesystem, and is never formatted";
      found.push(warning("format-missing", volume.id, "made from a source, and has no format record", next));
    }
    return found;
  }
  if (!copied && "volumeId" in record && record.volumeId !== volume.id) {
    const next = "do not mount it before you know whose image it is; restore the right one from a snapshot or backup";
    found.push(error("format-foreign", volume.id, `its format record was written for ${record.volumeId}`, next));
  }
  // One that is not in use waits for its next NodeStageVolume, which formats it anew: it was never handed out.
  if (record.state === "formatting" && (copied || attached.has(await fileIdentity(imageIn(dir))))) {
    const next = copied
      ? "its source was copied before it was formatted: delete it and make it again"
      : "it must not be in use yet: unstage it, and stage it again, which formats it";
    found.push(warning("format-interrupted", volume.id, "formatting began and did not end", next));
  }
  if (record.state === "formatted" && volume.fsType !== "" && record.fsType !== volume.fsType) {
    const next = `it is mounted as ${record.fsType} only where that is asked for; restore or recreate it`;
    found.push(error("format-differs", volume.id, `formatted as ${record.fsType}, not ${volume.fsType}`, next));
  }
  return found;
}

async function checkSnapshot(pool: Pick<Pool, "dir">, snapshot: Snapshot): Promise<Finding[]> {
  const dir = snapshotDir(pool, snapshot.id);
  const found = await checkImage(dir, snapshot.id, "snapshot", snapshot.sizeBytes);
  if (found.some(({ check }) => check === "image-missing")) return found;
  if ((await recordOf(dir, snapshot.id, found)) === undefined) {
    const next = "volumes made from it mount if they hold a filesystem, and are never formatted";
    found.push(warning("format-missing", snapshot.id, "the snapshot has no format record", next));
  }
  return found;
}

async function recordOf(dir: string, id: string, found: Finding[]): Promise<FormatRecord | undefined | "damaged"> {
  try {
    return await readFormatRecord(imageIn(dir));
  } catch (cause) {
    const next = "it is not mounted until the record is right: restore format.json, or the volume from a snapshot";
    found.push(error("format-damaged", id, messageOf(cause), next));
    return "damaged";
  }
}

async function checkImage(dir: string, id: string, kind: string, sizeBytes: bigint): Promise<Finding[]> {
  const image = imageIn(dir);
  const stat = await fs.lstat(image, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return undefined;
    throw cause;
  });
  if (!stat?.isFile()) {
    const what = `its image ${image} ${stat ? "is not a regular file" : "is missing"}`;
    const next = `put the image back from a backup, or delete the ${kind}`;
    return [error("image-missing", id, what, next)];
  }
  const found: Finding[] = [];
  if (stat.size !== sizeBytes) {
    const what = `its image has ${stat.size} bytes, and the registry says ${sizeBytes}`;
    const next =
      kind === "volume" && stat.size > sizeBytes
        ? "expand the volume (ControllerExpandVolume) to the image's size or more"
        : "its end is lost or was added by hand: restore it from a snapshot or backup";
    found.push(error("size-differs", id, what, next));
  }
  const stray = (await fs.readdir(dir)).filter((name) => name !== "image" && name !== "format.json");
  for (const name of stray) {
    const next = "nothing reads it: it may be removed";
    found.push(warning("stray-file", join(dir, name), `a file beside the image of ${id}`, next));
  }
  return found;
}
