import { messageOf } from "../../../errors/storage-error.js";
import { listMounts } from "../../../os/mount.js";
import type { Context } from "../../types.js";
import type { Attachments } from "./attachments.js";
import type { Mapped, Mapper } from "./mapper.js";

/** What is mounted from the device, here or as a device node somewhere: never detached. */
export async function isMounted(device: string): Promise<boolean> {
  return (await listMounts()).some((entry) => entry.source === device);
}

/**
 * Settles what a crash left: a device that this node attached and no record of it names is detached, unless it is mounted;
 * what a dead daemon left is taken away. Devices that others mapped are not this node's to touch: it goes by its own
 * attachments, and keeps an attachment of which it is in doubt.
 */
export async function healAttachments(
  ctx: Context,
  attachments: Attachments,
  mappers: readonly Mapper[],
  known: ReadonlySet<string>,
): Promise<void> {
  const devices = (await Promise.all(mappers.map((mapper) => mapper.list()))).flat();
  for (const attachment of await attachments.list()) {
    const { identity, readonly, volumeId } = attachment;
    const mapper = mappers.find(({ kind }) => kind === attachment.mapper);
    if (!mapper) continue;
    const own = devices.filter(
      (one) => one.mapper === mapper.kind && one.identity === identity && one.readonly === readonly,
    );
    try {
      let kept = 0;
      for (const mapped of own) if (!(await detachedIfUnused(ctx, mapper, mapped, known.has(identity)))) kept += 1;
      if (kept > 0) continue;
      await mapper.clear(ctx, identity, readonly);
      // Of a volume that may come back soon the dead client's address is kept, so that nobody waits for that client.
      if (!known.has(identity)) await attachments.forget(identity, readonly);
    } catch (error) {
      ctx.log.error({ volumeId, error: messageOf(error) }, "what was left of an attachment could not be taken away");
    }
  }
}

async function detachedIfUnused(ctx: Context, mapper: Mapper, mapped: Mapped, known: boolean): Promise<boolean> {
  if ((known && mapped.alive) || (await isMounted(mapped.device))) return false;
  ctx.log.warn(
    { device: mapped.device, identity: mapped.identity, alive: mapped.alive },
    "a device that no record of this node names, or that nothing serves any more: detached",
  );
  await mapper.unmap(ctx, mapped);
  return true;
}
