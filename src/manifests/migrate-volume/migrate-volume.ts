import type { Volume__Output } from "../../../proto/gen/csi/v1/Volume.js";
import { StorageError } from "../../errors/storage-error.js";
import { type ByteRange, compareRanges, copyRanges, flush, type Transfer } from "../../os/copy-extents.js";
import type { Exec } from "../../os/exec.js";
import type { CsiClient } from "../../runtime/csi-client.js";
import { usersOf } from "../attach.js";
import { claimCapabilities } from "../capability.js";
import { attachmentOf } from "../delete-volume.js";
import { boundVolume, capacityOf } from "../lookup.js";
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from "../objects.js";
import { Refusal, type Session, show, Wait } from "../session.js";
import { topologyFor } from "../topology.js";
import {
  forgetMigration,
  isFrom,
  type Migration,
  migrationOf,
  newTargetName,
  recordMigration,
} from "./migration-record.js";
import { attachRaw, detachRaw, type RawVolume } from "./raw-attachment.js";
import { bytesIn, rangesOf, union } from "./snapshot-ranges.js";
import { releaseOld, switchClaim } from "./switch-claim.js";

export interface VolumeMigration {
  session: Session;
  /** Reads what snapshots hold. */
  metadata: Pick<CsiClient, "stream">;
  exec: Exec;
  namespace: string;
  claimName: string;
  /** A StorageClass's name. */
  to: string;
  /** The old volume stays, Released, whatever its reclaim policy. */
  keepSource: boolean;
  onProgress(progress: VolumeProgress): void;
}

export interface VolumeProgress {
  step: "copying" | "verifying";
  bytes: number;
  totalBytes: number;
}

export type VolumeOutcome =
  | { type: "moved"; volume: string; copiedBytes: number; verifiedBytes: number }
  /** Copied as it was, and still in use: once nothing uses it, what changed since is copied, and it moves. */
  | { type: "in-use"; by: string; copiedBytes: number };

/**
 * Moves a claim's volume to another class, and so to another engine, under the claim's name. A run copies what a snapshot
 * of the volume holds, or what has changed since the last run's; a run that finds the volume in use by nobody ends the
 * migration. Each step can be repeated: a run that was cut off is taken up by the next.
 *
 * @throws StorageError not-found, invalid-argument for what cannot be moved; internal when a copy differs; CsiCallError
 */
export async function migrateVolume(work: VolumeMigration): Promise<VolumeOutcome> {
  const { session } = work;
  const before = migrationOf(claimOf(work));
  if (before?.ended) {
    // A run that was cut off between the switch and its end.
    await finish(work, before);
    return { type: "moved", volume: before.name, copiedBytes: 0, verifiedBytes: 0 };
  }
  const { volume, storageClass } = found(work);
  const begun = await begin(work, volume, storageClass);
  const target = await makeTarget(session, begun, volume);
  const ready = await takeUp(work, begun, volume, target);
  // Looked at before the snapshot is cut: the store's lock keeps every other command from attaching it meanwhile.
  const user = userOf(session, volume);
  const { copiedBytes, verifiedBytes, migration } = await copyRound(work, ready, volume, target, user === undefined);
  if (user !== undefined) return { type: "in-use", by: user, copiedBytes };
  const ended: Migration = {
    ...migration,
    ended: work.keepSource ? "source-kept" : "source-released",
    garbage: migration.base === undefined ? [] : [migration.base],
  };
  await switchClaim(session, ended, target);
  await finish(work, ended);
  return { type: "moved", volume: ended.name, copiedBytes, verifiedBytes };
}

const record = (work: VolumeMigration, migration: Migration) =>
  work.session.update(claimOf(work), (draft) => recordMigration(draft, migration));

/** Lets the old volume go, and takes away what the migration still has, and the record of it. */
async function finish(work: VolumeMigration, migration: Migration): Promise<void> {
  await releaseOld(work.session, migration);
  await removeSnapshots(work.session, migration.garbage);
  await work.session.update(claimOf(work), forgetMigration);
}

async function removeSnapshots(session: Session, ids: readonly string[]): Promise<void> {
  for (const snapshot_id of ids) await session.call("Controller", "DeleteSnapshot", { snapshot_id });
}

function found(work: VolumeMigration) {
  const { session, namespace, claimName, to } = work;
  const storageClass = session.store.get("StorageClass", "", to);
  if (!storageClass) throw new StorageError("not-found", `--to: storageclass ${to} not found`);
  const volume = orRefused(() => boundVolume(session, namespace, claimName));
  if (volume.spec.storageClassName === to)
    throw new StorageError("invalid-argument", `${show(claimOf(work))} is of class ${to} already`);
  const shared = (parameters: Record<string, string>) => parameters.kind === "shared";
  if (volume.spec.csi.volumeAttributes.kind === "shared" || shared(storageClass.parameters))
    throw new StorageError("unimplemented", "only volumes of kind block are migrated: copy a shared one file by file");
  return { volume, storageClass };
}

/** What the provisioner calls a wait is the end of a command. */
function orRefused<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Wait || error instanceof Refusal) throw new StorageError("failed-precondition", error.message);
    throw error;
  }
}

/** Writes down what will be made, before it is; or answers what an earlier run began. */
async function begin(work: VolumeMigration, volume: PersistentVolume, storageClass: StorageClass): Promise<Migration> {
  const { session } = work;
  const claim = claimOf(work);
  const to = storageClass.metadata.name;
  const known = migrationOf(claim);
  if (known && (known.to !== to || !isFrom(known, volume)))
    throw new StorageError(
      "failed-precondition",
      `${show(claim)} is being migrated to ${known.to} already: end that first, by --to ${known.to}`,
    );
  if (known) return known;
  const name = newTargetName(claim);
  const { accessModes, volumeMode, csi } = volume.spec;
  const { "csi.storage.k8s.io/fstype": _named, ...parameters } = storageClass.parameters;
  const request = {
    name,
    capacity_range: { required_bytes: String(capacityOf(volume)), limit_bytes: "0" },
    // The filesystem is copied as it is.
    volume_capabilities: claimCapabilities({
      ...{ accessModes, volumeMode, mountOptions: storageClass.mountOptions },
      fsType: csi.fsType,
    }),
    parameters: { ...parameters, "csi.storage.k8s.io/pv/name": name },
    mutable_parameters: {},
    accessibility_requirements: topologyFor(storageClass, session.node),
  };
  const migration: Migration = {
    ...{ to, from: volume.metadata.name, name, request },
    ...{ round: 0, open: false, partial: [], garbage: [], ended: false },
  };
  await record(work, migration);
  return migration;
}

async function makeTarget(session: Session, { request }: Migration, volume: PersistentVolume): Promise<Volume__Output> {
  const { volume: made } = await session.call("Controller", "CreateVolume", request);
  if (!made) throw new StorageError("internal", "CreateVolume answered without a volume");
  const wanted = capacityOf(volume);
  // The claim may have been expanded since an earlier run.
  if (BigInt(made.capacity_bytes) >= wanted) return made;
  const { capacity_bytes } = await session.call("Controller", "ControllerExpandVolume", {
    volume_id: made.volume_id,
    capacity_range: { required_bytes: String(wanted), limit_bytes: "0" },
  });
  return { ...made, capacity_bytes };
}

function userOf(session: Session, volume: PersistentVolume): string | undefined {
  const [pod] = usersOf(session, volume);
  const user = pod ?? attachmentOf(session, volume);
  return user && show(user);
}

/** Takes away what a run that was cut off left, and opens the next one. */
async function takeUp(
  work: VolumeMigration,
  migration: Migration,
  volume: PersistentVolume,
  target: RawVolume,
): Promise<Migration> {
  const { session } = work;
  await removeSnapshots(session, migration.garbage);
  const { partial, ...known } = migration;
  let left = partial;
  if (known.open) {
    // Named by the round: the same snapshot and the same copy of it, or made now, and then taken away all the same.
    const snapshotId = await cut(session, migration, volume);
    const copy = await readable(session, migration, volume, snapshotId);
    await detachBoth(session, copy, target);
    left = [...partial, snapshotId];
  }
  const next = { ...known, garbage: [], partial: left, round: known.round + 1, open: true };
  await record(work, next);
  return next;
}

async function cut(session: Session, { name, round }: Migration, volume: PersistentVolume): Promise<string> {
  const request = { name: `${name}-${round}`, source_volume_id: volume.spec.csi.volumeHandle };
  const { snapshot } = await session.call("Controller", "CreateSnapshot", request);
  if (!snapshot) throw new StorageError("internal", "CreateSnapshot answered without a snapshot");
  return snapshot.snapshot_id;
}

/** Takes both off this host, and the copy away. */
async function detachBoth(session: Session, copy: RawVolume, target: RawVolume): Promise<void> {
  for (const { volume_id } of [copy, target]) await detachRaw(session, volume_id);
  await session.call("Controller", "DeleteVolume", { volume_id: copy.volume_id });
}

interface Round {
  migration: Migration;
  copiedBytes: number;
  verifiedBytes: number;
}

/** Cuts a snapshot, and makes the target hold it. `last`: all of it is compared, not only what was copied now. */
async function copyRound(
  work: VolumeMigration,
  migration: Migration,
  volume: PersistentVolume,
  target: RawVolume,
  last: boolean,
): Promise<Round> {
  const { session, metadata } = work;
  const { base, partial, garbage } = migration;
  const snapshotId = await cut(session, migration, volume);
  const sinceBase = (id: string) => rangesOf(metadata, id, base);
  // What a run that was cut off may have written is written again, also where the volume is as it was before that run.
  const changed = union(await Promise.all([snapshotId, ...partial].map(sinceBase)));
  const compared = last ? union([changed, await rangesOf(metadata, snapshotId, undefined)]) : changed;
  const copy = await readable(session, migration, volume, snapshotId);
  try {
    const from = await attachRaw(session, copy);
    const to = await attachRaw(session, target);
    await transfer(work, { from, to }, changed, compared, base === undefined && partial.length === 0);
  } finally {
    await detachBoth(session, copy, target);
  }
  const unneeded = [...garbage, ...partial, ...(base === undefined ? [] : [base])];
  const done: Migration = { ...migration, base: snapshotId, open: false, partial: [], garbage: unneeded };
  await record(work, done);
  await removeSnapshots(session, unneeded);
  return {
    migration: { ...done, garbage: [] },
    copiedBytes: bytesIn(changed),
    verifiedBytes: bytesIn(compared),
  };
}

function claimOf({ session, namespace, claimName }: VolumeMigration): PersistentVolumeClaim {
  const claim = session.store.get("PersistentVolumeClaim", namespace, claimName);
  if (!claim) throw new StorageError("not-found", `persistentvolumeclaim ${namespace}/${claimName} not found`);
  return claim;
}

/** The snapshot as a volume of its own beside its source: that one may be in use, and its device is its file system's. */
async function readable(
  session: Session,
  { name, round }: Migration,
  volume: PersistentVolume,
  snapshotId: string,
): Promise<RawVolume> {
  const parameters = session.store.get("StorageClass", "", volume.spec.storageClassName)?.parameters ?? {};
  const { "csi.storage.k8s.io/fstype": _named, ...own } = parameters;
  const { volume: made } = await session.call("Controller", "CreateVolume", {
    name: `${name}-${round}-read`,
    volume_capabilities: [{ block: {}, access_mode: { mode: "SINGLE_NODE_WRITER" } }],
    parameters: own,
    volume_content_source: { snapshot: { snapshot_id: snapshotId } },
  });
  if (!made) throw new StorageError("internal", "CreateVolume answered without a volume");
  return made;
}

async function transfer(
  { session, exec, onProgress }: VolumeMigration,
  paths: { from: string; to: string },
  changed: readonly ByteRange[],
  compared: readonly ByteRange[],
  fresh: boolean,
): Promise<void> {
  const { signal } = session.options;
  const counted = (step: VolumeProgress["step"], ranges: readonly ByteRange[]): Transfer => {
    let bytes = 0;
    const totalBytes = bytesIn(ranges);
    const onBytes = (more: number) => {
      bytes += more;
      onProgress({ step, bytes, totalBytes });
    };
    return { ...paths, ranges, signal, onBytes };
  };
  await copyRanges(counted("copying", changed), fresh);
  for (const path of [paths.from, paths.to]) await flush(exec, signal, path);
  await compareRanges(counted("verifying", compared));
}
