import { randomUUID } from "node:crypto";
import type { DeviceAttacher, NodeRef } from "../src/engines/attacher.js";
import type { FormatRecord } from "../src/engines/format-record.js";
import type { Context } from "../src/engines/types.js";
import { StorageError } from "../src/errors/storage-error.js";
import { FS_TYPES, type FsType } from "../src/model/volume.js";
import { type Probe, probeDevice } from "../src/os/blkid.js";
import type { Exec } from "../src/os/exec.js";
import { renewBtrfsUuid } from "../src/os/fsck.js";
import { makeFilesystem } from "../src/os/mkfs.js";
import { step } from "../src/runtime/steps.js";

/*
 * Crash model. Formatting writes the record "formatting" before mkfs and "formatted" after it: a crash between the two
 * formats again, which is safe, since a volume is handed out only once its record says "formatted" on disk. "formatting" is
 * synced while mkfs runs: a loss of power before that may leave a volume that is refused, and none that is formatted over.
 * A raw volume's record is written before the device is handed out, so that data in it can never be taken for a blank image.
 */

export interface FormatWish {
  fsType: FsType | "";
  mkfsOptions: readonly string[];
  hasSource: boolean;
  readonly: boolean;
}

const refuse = (message: string) => new StorageError("failed-precondition", message);

/** A volume that is being staged: its engine's half on this host, and the volume as that knows it. */
export interface Staged {
  attacher: DeviceAttacher;
  ref: NodeRef;
}

/** Before a raw device is handed out for writing: from now on its volume is never formatted. */
export async function recordRaw(ctx: Context, { attacher, ref }: Staged): Promise<void> {
  if ((await attacher.readRecord(ctx, ref)) === undefined) {
    await (await attacher.writeRecord(ctx, ref, { state: "raw", volumeId: ref.volumeId })).synced;
    step("format/raw-recorded");
  }
}

/**
 * The type of the filesystem on the volume's device, which is made first if, and only if, it was never made, the
 * volume has no content but a blank source's, and the device is proven to be blank. `fresh`: it was made now, and
 * must not be handed out before `recorded` has settled.
 *
 * @throws StorageError failed-precondition in every case of doubt
 */
export async function ensureFilesystem(
  exec: Exec,
  ctx: Context,
  staged: Staged,
  device: string,
  wish: FormatWish,
): Promise<{ fsType: FsType; fresh: boolean; recorded: Promise<void> }> {
  const { attacher, ref } = staged;
  const record = await attacher.readRecord(ctx, ref);
  // A copy that says "formatting" with its own id was begun as "blank".
  const interrupted = record?.state === "formatting" && record.volumeId === ref.volumeId;
  const unwritten = record === undefined ? !wish.hasSource : record.state === "blank";
  if (!unwritten && !interrupted)
    return {
      fsType: await recogniseFilesystem(exec, ctx, staged, device, wish, record),
      fresh: false,
      recorded: Promise.resolve(),
    };
  if (wish.readonly)
    throw refuse(
      `volume ${ref.volumeId} holds no filesystem yet and is asked for read-only: mount it for writing once`,
    );
  if (!interrupted) await attacher.proveBlank(ctx, ref, device);
  const fsType = wish.fsType || "ext4";
  // A new UUID for each try: mkfs.btrfs refuses one that it finds on the device already.
  const made = { fsType, uuid: randomUUID(), volumeId: ref.volumeId };
  const begun = await attacher.writeRecord(ctx, ref, { state: "formatting", ...made });
  step("format/intended");
  const plan = { device, fsType, uuid: made.uuid, options: wish.mkfsOptions };
  await Promise.all([makeFilesystem(exec, ctx.signal, plan), begun.synced]);
  step("format/made");
  const { synced } = await attacher.writeRecord(ctx, ref, { state: "formatted", ...made });
  step("format/recorded");
  // Whoever mounts waits for it; should the caller fail before that, it is nobody's failure.
  synced.catch(() => undefined);
  return { fsType, fresh: true, recorded: synced };
}

async function recogniseFilesystem(
  exec: Exec,
  ctx: Context,
  staged: Staged,
  device: string,
  wish: FormatWish,
  record: FormatRecord | undefined,
): Promise<FsType> {
  const { ref } = staged;
  const probe = await probeDevice(exec, ctx.signal, device);
  const fsType = FS_TYPES.find((known) => known === probe.type);
  const holds = probe.type || "nothing that is recognised";
  if (record?.state === "formatting")
    throw refuse(`volume ${ref.volumeId} is a copy of a volume whose formatting had not ended`);
  if (!fsType || (wish.fsType && fsType !== wish.fsType)) {
    throw refuse(
      `volume ${ref.volumeId} holds ${holds}, not ${wish.fsType || FS_TYPES.join(", ")}; it is never formatted over`,
    );
  }
  if (record?.state === "formatted" && record.fsType !== fsType) {
    throw refuse(`volume ${ref.volumeId} was formatted with ${record.fsType} and holds ${fsType}; it is left as it is`);
  }
  if (!wish.readonly) await adopt(exec, ctx, staged, device, fsType, probe, record);
  return fsType;
}

/** Gives a copy its own record, and where the kernel needs it (btrfs) its own UUID first. */
async function adopt(
  exec: Exec,
  ctx: Context,
  staged: Staged,
  device: string,
  fsType: FsType,
  probe: Probe,
  record: FormatRecord | undefined,
): Promise<void> {
  const { attacher, ref } = staged;
  if (record && "volumeId" in record && record.volumeId === ref.volumeId) return;
  let uuid = probe.uuid;
  if (fsType === "btrfs") {
    uuid = randomUUID();
    await renewBtrfsUuid(exec, ctx.signal, device, uuid);
  }
  await (await attacher.writeRecord(ctx, ref, { state: "formatted", fsType, uuid, volumeId: ref.volumeId })).synced;
}
