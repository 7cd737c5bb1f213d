/**
 * Creating, step by step; each stands being repeated, by another controller too:
 *
 * - plain: record (creating), subvolume, record (ready, with its path).
 * - a copy: [a snapshot of the source volume], record (creating, with what is copied), clone begun; then without the lock
 *   Ceph copies; then the size, the copy's own snapshot away, record (ready).
 *
 * What a controller that died left under a name is gone on with by the next create of the same; a create of the name with
 * other wishes takes a plain rest away, and is refused while there is a copying.
 */
import { messageOf, notFound, StorageError } from "../../../errors/storage-error.js";
import type { Volume, VolumeSpec } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import { removeVolume } from "./delete-volume.js";
import { copySnapshotName, hashOf, keyOf, newToken, subvolumeName } from "./names.js";
import { newVolumeRecord, type VolumeRecord, volumeOf } from "./record.js";
import { findSnapshot, readyVolume, type Shelf, snapshotKey, volumeKey } from "./shelf.js";
import type { CopyStatus } from "./subvolumes.js";

/** A create answers within a sidecar's deadline; what is not done then is gone on with when it is repeated. */
const COPY_WAIT_MS = 10_000;
const UNDO_MS = 20_000;

export async function createVolume(shelf: Shelf, ctx: Context, spec: VolumeSpec): Promise<Volume> {
  const { place } = await shelf.facts(ctx);
  const hash = hashOf(spec.name);
  const operation = `CreateVolume ${hash}`;
  const keys = [volumeKey(shelf, hash), ...sourceKeys(shelf, spec, place)];
  const begun = await shelf.lock.run(ctx, keys, operation, (held) => begin(shelf, held, spec, hash));
  if (begun.state === "ready") return volumeOf(begun, place, hash);
  const name = subvolumeName(hash, begun.token);
  const status = await shelf.subvolumes.awaitCopy(ctx, name, COPY_WAIT_MS);
  if (status.state === "pending" || status.state === "in-progress") throw copying(begun, status);
  return shelf.lock.run(ctx, [volumeKey(shelf, hash)], operation, async (held) => {
    const record = await shelf.volumes.get(held, hash);
    if (record?.token !== begun.token || record.state === "deleting")
      throw new StorageError("aborted", `volume ${spec.name} was deleted while it was made`);
    const done = record.state === "ready" ? record : await endCopy(shelf, held, hash, record, status);
    return volumeOf(done, place, hash);
  });
}

/** How far a volume's copying is, as an error that says to come again. */
export function copying(record: VolumeRecord, status: CopyStatus): StorageError {
  return new StorageError("aborted", `volume ${record.name}: ${copyWords(record, status)}; retry until it is done`);
}

export function copyWords(record: VolumeRecord, status: CopyStatus): string {
  const source = record.source;
  const from = source?.type === "volume" ? source.volumeId : (source?.snapshotId ?? "its source");
  return `the copy of ${from} is ${status.state}${status.words === "" ? "" : ` (${status.words})`}`;
}

function sourceKeys(shelf: Shelf, spec: VolumeSpec, place: string): string[] {
  if (spec.source?.type === "volume") {
    const key = keyOf(spec.source.volumeId, "v", place);
    return key ? [volumeKey(shelf, key.hash)] : [];
  }
  const key = spec.source ? keyOf(spec.source.snapshotId, "s", place) : undefined;
  return key ? [snapshotKey(shelf, key.hash)] : [];
}

/** A record that is ready, or that waits for a copying. */
async function begin(shelf: Shelf, ctx: Context, spec: VolumeSpec, hash: string): Promise<VolumeRecord> {
  const existing = await shelf.volumes.get(ctx, hash);
  if (existing?.state === "ready") throw new StorageError("already-exists", `volume ${spec.name} exists`);
  let record = existing;
  if (record && (record.state === "deleting" || !sameWish(record, spec))) {
    if (record.state === "creating" && record.copy && !(await hasFailed(shelf, ctx, hash, record)))
      throw new StorageError("already-exists", `volume ${spec.name} is being made with other parameters`);
    await removeVolume(shelf, ctx, hash, record);
    record = undefined;
  }
  try {
    record ??= newVolumeRecord(spec, newToken());
    return spec.source ? await beginCopy(shelf, ctx, hash, record) : await makePlain(shelf, ctx, hash, record);
  } catch (error) {
    if (record) await undo(shelf, ctx, hash, record, error);
    throw error;
  }
}

async function hasFailed(shelf: Shelf, ctx: Context, hash: string, record: VolumeRecord): Promise<boolean> {
  const { state } = await shelf.subvolumes.copyStatus(ctx, subvolumeName(hash, record.token));
  return state === "failed" || state === "canceled" || state === "absent";
}

function sameWish(record: VolumeRecord, spec: VolumeSpec): boolean {
  const wish = ({ kind, capacityBytes, source, parameters }: VolumeSpec) =>
    JSON.stringify([kind, String(capacityBytes), source, Object.entries(parameters).sort()]);
  return wish(record) === wish(spec);
}

async function makePlain(shelf: Shelf, ctx: Context, hash: string, record: VolumeRecord): Promise<VolumeRecord> {
  const name = subvolumeName(hash, record.token);
  await shelf.volumes.put(ctx, hash, record);
  step("cephfs-create/claimed");
  await shelf.subvolumes.create(ctx, name, record.capacityBytes, record.parameters.dataPool ?? "");
  step("cephfs-create/made");
  const ready: VolumeRecord = { ...record, state: "ready", path: await shelf.subvolumes.path(ctx, name) };
  await shelf.volumes.put(ctx, hash, ready);
  step("cephfs-create/recorded");
  return ready;
}

async function beginCopy(shelf: Shelf, ctx: Context, hash: string, record: VolumeRecord): Promise<VolumeRecord> {
  const name = subvolumeName(hash, record.token);
  const copy = record.copy ?? (await copySource(shelf, ctx, record));
  const claimed = { ...record, copy };
  // Before the snapshot: what is recorded is found and taken away, whoever comes next.
  await shelf.volumes.put(ctx, hash, claimed);
  step("cephfs-copy/claimed");
  const { state } = await shelf.subvolumes.copyStatus(ctx, name);
  if (state !== "absent") return claimed;
  if (copy.own) await shelf.subvolumes.cut(ctx, copy.subvolume, copy.snapshot);
  step("cephfs-copy/cut");
  await shelf.subvolumes.copy(ctx, copy, name, record.parameters.dataPool ?? "");
  step("cephfs-copy/begun");
  return claimed;
}

async function copySource(
  shelf: Shelf,
  ctx: Context,
  record: VolumeRecord,
): Promise<NonNullable<VolumeRecord["copy"]>> {
  const tooSmall = (bytes: bigint) =>
    new StorageError("out-of-range", `capacity_range: the source has ${bytes} bytes, a copy cannot have fewer`);
  if (record.source?.type === "volume") {
    const { hash, record: from } = await readyVolume(shelf, ctx, record.source.volumeId);
    if (from.capacityBytes > record.capacityBytes) throw tooSmall(from.capacityBytes);
    const subvolume = subvolumeName(hash, from.token);
    return { subvolume, snapshot: copySnapshotName(record.token), own: true };
  }
  const id = record.source?.snapshotId ?? "";
  const found = await findSnapshot(shelf, ctx, id);
  if (found?.record.state !== "ready") throw notFound(`snapshot ${id} does not exist`);
  if (found.record.sizeBytes > record.capacityBytes) throw tooSmall(found.record.sizeBytes);
  const { subvolume, snapshot } = { ...found.record, snapshot: `granary-s-${found.hash}-${found.record.token}` };
  return { subvolume, snapshot, own: false };
}

/** The copying is over, well or not. */
async function endCopy(
  shelf: Shelf,
  ctx: Context,
  hash: string,
  record: VolumeRecord,
  status: CopyStatus,
): Promise<VolumeRecord> {
  const name = subvolumeName(hash, record.token);
  if (status.state !== "complete") {
    await removeVolume(shelf, ctx, hash, record);
    const code = status.outOfSpace ? "resource-exhausted" : "aborted";
    throw new StorageError(code, `volume ${record.name}: ${copyWords(record, status)}; it was taken away`);
  }
  // The clone has its source's quota.
  await shelf.subvolumes.grow(ctx, name, record.capacityBytes);
  step("cephfs-copy/sized");
  if (record.copy?.own) await shelf.subvolumes.removeSnapshot(ctx, record.copy.subvolume, record.copy.snapshot);
  step("cephfs-copy/source-freed");
  const path = await shelf.subvolumes.path(ctx, name);
  const ready: VolumeRecord = { ...record, state: "ready", path, copy: null };
  await shelf.volumes.put(ctx, hash, ready);
  step("cephfs-copy/recorded");
  return ready;
}

const UNSURE = new Set(["deadline-exceeded", "cancelled", "unavailable", "aborted"]);

/** A create that failed leaves nothing; one of which it is not known whether it goes on is left to its repetition. */
async function undo(shelf: Shelf, ctx: Context, hash: string, record: VolumeRecord, error: unknown): Promise<void> {
  if (error instanceof StorageError && UNSURE.has(error.code)) return;
  try {
    const own = { ...ctx, signal: AbortSignal.timeout(UNDO_MS) };
    const current = await shelf.volumes.get(own, hash);
    if (current?.token === record.token) await removeVolume(shelf, own, hash, current);
  } catch (cause) {
    ctx.log.warn({ error: messageOf(cause) }, "a failed create could not be undone; its repetition takes it over");
  }
}
