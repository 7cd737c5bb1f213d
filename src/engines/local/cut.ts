import type { Logger } from "pino";
import { messageOf, StorageError } from "../../errors/storage-error.js";
import type { Exec } from "../../os/exec.js";
import { freeze, thaw } from "../../os/freeze.js";
import { imageUsers } from "../../os/image-users.js";
import { step } from "../../runtime/steps.js";
import type { Context } from "../types.js";
import type { Pool } from "./pool.js";

// A thaw is never bound by a request's deadline: a file system left frozen hangs its pods.
const NEVER = new AbortController().signal;

/**
 * Runs `cut` while no file system on any of the images is written to: all are frozen first, so that the copies hold one
 * point in the order of writes across them. A raw device's writers cannot be held: it is flushed, and its copy is one
 * point in time only where it is alone, and the pool shares its extents in one step.
 *
 * @throws StorageError failed-precondition for a raw device in use otherwise
 */
export async function whileFrozen<T>(
  ctx: Context,
  exec: Exec,
  pool: Pool,
  images: readonly string[],
  cut: () => Promise<T>,
): Promise<T> {
  const frozen: string[] = [];
  try {
    for (const image of images) {
      for (const user of await imageUsers(image)) {
        if (user.mountPoint === null) {
          if (images.length > 1 || !pool.reflink) throw unheld(user.device, pool);
          await exec("blockdev", ["--flushbufs", user.device], { signal: ctx.signal });
          continue;
        }
        // Noted before it is done: a freeze whose answer is lost to the deadline is thawed too.
        frozen.push(user.mountPoint);
        await freeze(exec, ctx.signal, user.mountPoint);
      }
    }
    step("cut/frozen");
    const made = await cut();
    step("cut/copied");
    return made;
  } finally {
    for (const mountPoint of frozen) {
      await thaw(exec, NEVER, mountPoint).catch((error: unknown) =>
        ctx.log.warn({ mountPoint, error: messageOf(error) }, "thaw"),
      );
    }
    step("cut/thawed");
  }
}

function unheld(device: string, pool: Pool): StorageError {
  const instead = pool.reflink ? "copy its volume alone" : "use a pool with reflinks (granary pool init)";
  return new StorageError(
    "failed-precondition",
    `${device} is in use as a raw device, and its writers cannot be held while it is copied: stop its pods, or ${instead}`,
  );
}

/** Thaws what a crash may have left frozen. A file system that is not frozen refuses, and that is well. */
export async function thawImages(log: Logger, exec: Exec, images: readonly string[]): Promise<void> {
  for (const image of images) {
    for (const { mountPoint } of await imageUsers(image)) {
      if (mountPoint === null) continue;
      await thaw(exec, NEVER, mountPoint).then(
        () => log.warn({ mountPoint }, "thawed after an interrupted snapshot"),
        () => undefined,
      );
    }
  }
}
