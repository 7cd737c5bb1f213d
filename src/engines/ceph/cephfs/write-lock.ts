import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import { hashOf } from "./names.js";
import type { RecordPool } from "./record-pool.js";

const LOCK_NAME = "granary";
// Another controller's operation is short, and two names may share a lock: waiting is cheaper than a sidecar's retry.
const WAIT_MS = 3_000;
const RELEASE_MS = 5_000;

/** `rados lock info --format json`. */
interface LockInfo {
  lockers?: { name: string; cookie: string; description: string }[];
}

/**
 * Keeps the controllers of one cluster off each other: RADOS's advisory lock on one of 4096 small objects, by the digest
 * of what is worked on. It lasts `lastsMs` and expires by itself when its holder died; work that has not ended a little
 * before that is ended, so that it does not go on beside the next holder's.
 */
export class WriteLock {
  constructor(
    private readonly pool: RecordPool,
    private readonly lastsMs: number,
  ) {}

  /**
   * @param keys what must hold still: names' digests with their kind
   * @throws StorageError aborted with the other's operation when one of them stays held
   */
  async run<T>(
    ctx: Context,
    keys: readonly string[],
    operation: string,
    work: (ctx: Context) => Promise<T>,
  ): Promise<T> {
    // In one order everywhere, so that two that want the same locks cannot each hold one.
    const objects = [...new Set(keys.map((key) => `lock.${hashOf(key).slice(0, 3)}`))].sort();
    const cookie = randomUUID();
    const held: string[] = [];
    const end = AbortSignal.timeout(Math.floor(this.lastsMs * 0.8));
    try {
      for (const object of objects) {
        try {
          await this.#acquire(ctx, object, cookie, operation);
        } catch (error) {
          // A call that was cut off may have taken the lock all the same.
          if (!(error instanceof StorageError) || error.code !== "aborted") held.push(object);
          throw error;
        }
        held.push(object);
      }
      return await work({ ...ctx, signal: AbortSignal.any([ctx.signal, end]) });
    } finally {
      for (const object of held) await this.#release(ctx, object, cookie);
    }
  }

  async #acquire(ctx: Context, object: string, cookie: string, operation: string): Promise<void> {
    const giveUpMs = Date.now() + WAIT_MS;
    const duration = String(Math.ceil(this.lastsMs / 1000));
    for (;;) {
      try {
        await this.pool.write(ctx, [
          ...["lock", "get", object, LOCK_NAME, "--lock-cookie", cookie],
          ...["--lock-duration", duration, "--lock-description", operation],
        ]);
        return;
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== "aborted") throw error;
        if (Date.now() > giveUpMs) throw await this.#held(ctx, object, error);
        await sleep(100 + Math.random() * 200);
      }
    }
  }

  async #held(ctx: Context, object: string, cause: StorageError): Promise<StorageError> {
    const holder = (await this.#info(ctx, object).catch(() => undefined))?.lockers?.[0];
    const what = holder ? `${holder.description || "an operation"} (${holder.name})` : "another operation";
    return new StorageError("aborted", `${what} is running in another controller; retry when it is done`, { cause });
  }

  async #info(ctx: Context, object: string): Promise<LockInfo> {
    return JSON.parse((await this.pool.read(ctx, ["lock", "info", object, LOCK_NAME])) ?? "{}") as LockInfo;
  }

  /** The tool cannot give a lock back, only break it in its holder's name: every call of it is another RADOS client. */
  async #release(ctx: Context, object: string, cookie: string): Promise<void> {
    const own = { ...ctx, signal: AbortSignal.timeout(RELEASE_MS) };
    try {
      const mine = (await this.#info(own, object)).lockers?.find((locker) => locker.cookie === cookie);
      if (!mine) return;
      await this.pool.write(own, ["lock", "break", object, LOCK_NAME, mine.name, "--lock-cookie", cookie]);
    } catch (error) {
      ctx.log.warn({ object, error: messageOf(error) }, "a lock could not be given back: it expires by itself");
    }
  }
}
