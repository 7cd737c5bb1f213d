import { invalid, StorageError } from "../../../errors/storage-error.js";
import type { Volume } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import { isCode } from "./images.js";
import { parseQos } from "./parameters.js";
import { putRecord, withVolume } from "./publish.js";
import { clientsIn } from "./records.js";
import { asVolume, type RbdWorld } from "./world.js";

/** Grows a volume, attached or not: the clients that have it open are told by Ceph. */
export function expandVolume(world: RbdWorld, ctx: Context, id: string, capacityBytes: bigint): Promise<Volume> {
  return withVolume(world, ctx, id, async (bounded, found) => {
    const { record, place, image } = found;
    if (capacityBytes <= record.capacityBytes) return asVolume(found);
    let sizeBytes = capacityBytes;
    try {
      await world.images.resize(bounded, place, image, capacityBytes);
    } catch (error) {
      // An expand that was cut off may have made it larger: nothing is ever cut off an image.
      if (!isCode(error, "invalid-argument")) throw error;
      sizeBytes = (await world.images.info(bounded, place, image)).sizeBytes;
      if (sizeBytes < capacityBytes) throw error;
    }
    step("rbd-expand/resized");
    const changed = { ...record, capacityBytes: sizeBytes };
    await putRecord(world, bounded, found, changed);
    step("rbd-expand/recorded");
    return asVolume({ ...found, record: changed });
  });
}

/**
 * Limits of a volume, as metadata that librbd reads: a mapper of it in user space obeys them at once, krbd knows none.
 *
 * @throws StorageError failed-precondition where the volume is attached by krbd
 */
export function modifyVolume(
  world: RbdWorld,
  ctx: Context,
  id: string,
  mutable: Record<string, string>,
): Promise<Volume> {
  const limits = parseQos(mutable, "mutable_parameters");
  return withVolume(world, ctx, id, async (bounded, found) => {
    const { record, place, image, metadata } = found;
    const kernel = clientsIn(metadata).find(({ mapper }) => mapper === "krbd");
    if (kernel && [...limits.values()].some((limit) => limit !== "0"))
      throw new StorageError(
        "failed-precondition",
        `mutable_parameters: node ${kernel.nodeId} has volume ${id} attached by the kernel's rbd, which knows no limits; they need rbd-nbd or qemu-storage-daemon`,
      );
    for (const [key, value] of limits) await world.images.setMetadata(bounded, place, image, key, value);
    step("rbd-modify/applied");
    const changed = { ...record, mutableParameters: { ...record.mutableParameters, ...mutable } };
    await putRecord(world, bounded, found, changed);
    step("rbd-modify/recorded");
    return asVolume({ ...found, record: changed });
  });
}

/** @throws StorageError invalid-argument naming the key */
export function checkLimits(mutable: Readonly<Record<string, string>>): void {
  parseQos(mutable, "mutable_parameters");
  for (const [key, value] of Object.entries(mutable))
    if (value === "") throw invalid(`mutable_parameters[${key}] is empty; 0 takes the limit away`);
}
