import type { Logger } from "pino";
import type { ClusterConfig } from "../../../config/clusters.js";
import { notFound, StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import type { FilesystemFacts } from "./filesystem-facts.js";
import { keyOf, type Place } from "./names.js";
import type { SnapshotRecord, VolumeRecord } from "./record.js";
import type { RecordPool } from "./record-pool.js";
import type { Records } from "./records.js";
import type { Ceph, Subvolumes } from "./subvolumes.js";
import type { WriteLock } from "./write-lock.js";

/** What the operations of one file system's engine share. */
export interface Shelf {
  config: ClusterConfig;
  log: Logger;
  ceph: Ceph;
  facts(ctx: Context): Promise<FilesystemFacts>;
  pool: RecordPool;
  volumes: Records<VolumeRecord>;
  snapshots: Records<SnapshotRecord>;
  subvolumes: Subvolumes;
  lock: WriteLock;
}

/** What the lock's keys are: of one engine's, by the digest of a name. */
export const volumeKey = (shelf: Shelf, hash: string) => `${shelf.config.subvolumeGroup}/v/${hash}`;
export const snapshotKey = (shelf: Shelf, hash: string) => `${shelf.config.subvolumeGroup}/s/${hash}`;

/** The digest that an id carries. @throws StorageError not-found for what this engine has not made */
export function volumeHash(id: string, place: Place): string {
  const key = keyOf(id, "v", place);
  if (!key) throw notFound(`volume ${id} does not exist`);
  return key.hash;
}

export interface FoundVolume {
  hash: string;
  record: VolumeRecord;
}

export async function findVolume(shelf: Shelf, ctx: Context, id: string): Promise<FoundVolume | undefined> {
  const { place } = await shelf.facts(ctx);
  const key = keyOf(id, "v", place);
  const record = key && (await shelf.volumes.get(ctx, key.hash));
  return key && record?.token === key.token ? { hash: key.hash, record } : undefined;
}

export async function findSnapshot(
  shelf: Shelf,
  ctx: Context,
  id: string,
): Promise<{ hash: string; record: SnapshotRecord } | undefined> {
  const { place } = await shelf.facts(ctx);
  const key = keyOf(id, "s", place);
  const record = key && (await shelf.snapshots.get(ctx, key.hash));
  return key && record?.token === key.token ? { hash: key.hash, record } : undefined;
}

/** The volume under its lock, whole and not being deleted. @throws StorageError not-found, aborted */
export async function readyVolume(shelf: Shelf, ctx: Context, id: string): Promise<FoundVolume> {
  const found = await findVolume(shelf, ctx, id);
  if (!found || found.record.state === "deleting") throw notFound(`volume ${id} does not exist`);
  if (found.record.state === "creating") {
    throw new StorageError("aborted", `volume ${id} is still being made; retry when it is there`);
  }
  return found;
}
