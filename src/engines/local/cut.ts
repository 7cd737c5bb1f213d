import type { Logger } from "pino";
import { messageOf } from "../../errors/storage-error.js";
import type { Exec } from "../../os/exec.js";
import { freeze, thaw } from "../../os/freeze.js";
import { imageUsers } from "../../os/image-users.js";
import { step } from "../../runtime/steps.js";
import type { Context } from "../types.js";

// A thaw is never bound by a request's deadline: a file system left frozen hangs its pods.
const NEVER = new AbortController().signal;

/**
 * Runs `cut` while no file system on any of the images is written to: all are frozen first, so that the copies hold one
 * point in the order of writes across them. A raw device in use is flushed; its writers are not held (docs/limitations.md).
 */
export async function whileFrozen<T>(
  ctx: Context,
  exec: Exec,
  images: readonly string[],
  cut: () => Promise<T>,
): Promise<T> {
  const frozen: string[] = [];
  try {
    for (const image of images) {
      for (const user of await imageUsers(image)) {
        if (user.mountPoint === null) {
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
