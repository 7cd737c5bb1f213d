import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { messageOf, StorageError } from "../../../errors/storage-error.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import { isCode, type Place } from "./images.js";

const LOCK = "granary";
const InfoAnswer = z.object({ lockers: z.array(z.object({ name: z.string(), cookie: z.string() })) });
/** What is done under a lock ends before this share of its life is over: what is sent later may come after it. */
const USABLE = 0.75;
/** A call that has been answered holds its lock a little longer. */
const PATIENCE_MS = 5_000;
const LOOK_AGAIN_MS = 100;

type Task = (ctx: Context) => Promise<void>;

/** What is left to be done when the call has been answered: nobody waits for it. */
export class Tail {
  readonly tasks: Task[] = [];
  readonly unlocked: Task[] = [];
  forgotten = false;

  /** Once the lock is given back. */
  later(task: Task): void {
    this.unlocked.push(task);
  }

  /** Under the lock still. */
  after(task: Task): void {
    this.tasks.push(task);
  }

  /** The name is gone, and its lock's object goes with it. */
  forget(): void {
    this.forgotten = true;
  }
}

/**
 * One operation at a time on a name, over all controllers of a cluster: an exclusive lock of RADOS on an object for the
 * name, that ends by itself when its holder died. A second one waits for the
 * end of a call that is all but over, and no longer: it is aborted, as its caller tries again.
 */
export class ClusterLock {
  /** Releases that are still under way: this controller's own next call waits for them. */
  readonly #releasing = new Map<string, Promise<void>>();
  readonly #ends = new Set<Promise<void>>();

  constructor(
    private readonly cluster: CephCluster,
    private readonly seconds: number,
  ) {}

  /**
   * @param keys all or none are locked; each becomes the name of an object
   * @param work is given a context that ends well before the lock does, and a Tail
   * @throws StorageError aborted when another controller holds one of them
   */
  async run<T>(
    ctx: Context,
    place: Place,
    keys: readonly string[],
    work: (ctx: Context, tail: Tail) => Promise<T>,
  ): Promise<T> {
    const wanted = [...new Set(keys)].sort();
    await Promise.all(wanted.map((key) => this.#releasing.get(key)));
    const cookie = randomUUID();
    const limit = AbortSignal.timeout(this.seconds * 1000 * USABLE);
    const bounded = { ...ctx, signal: AbortSignal.any([ctx.signal, limit]) };
    const tail = new Tail();
    const end = () => {
      const late = this.#afterwards(ctx);
      const released = this.#end(late, place, wanted, cookie, tail);
      const ended = released.then(() => runAll(late, tail.unlocked));
      for (const key of wanted) this.#releasing.set(key, released);
      this.#ends.add(ended);
      void released.finally(() => {
        for (const key of wanted) if (this.#releasing.get(key) === released) this.#releasing.delete(key);
      });
      void ended.finally(() => this.#ends.delete(ended));
    };
    const taken = await Promise.allSettled(wanted.map((key) => this.#take(bounded, place, key, cookie)));
    const refused = taken.find((one) => one.status === "rejected");
    try {
      if (refused) throw refused.reason;
      step("rbd-lock/taken");
      return await work(bounded, tail);
    } finally {
      end();
    }
  }

  /** Settles when nothing is left to be released. */
  async idle(): Promise<void> {
    while (this.#ends.size > 0) await Promise.all(this.#ends);
  }

  async #take(ctx: Context, place: Place, key: string, cookie: string): Promise<void> {
    const options = ["--lock-cookie", cookie, "--lock-duration", String(this.seconds), "--lock-type", "exclusive"];
    const args = ["lock", "get", objectOf(key), LOCK, ...options, ...at(place)];
    const patientUntilMs = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        await this.cluster.run(ctx, "rados", args);
        return;
      } catch (error) {
        if (!isCode(error, "aborted", "already-exists")) throw error;
        if (performance.now() > patientUntilMs)
          throw new StorageError(
            "aborted",
            `another controller works on it, or one that did died less than ${this.seconds} s ago; retry later`,
            { cause: error },
          );
        await setTimeout(LOOK_AGAIN_MS);
      }
    }
  }

  // The request may be over: what is left of it is not.
  #afterwards({ secrets, log, requestId }: Context): Context {
    const signal = AbortSignal.timeout(this.seconds * 1000 * (1 - USABLE));
    return { signal, log, requestId, ...(secrets && { secrets }) };
  }

  async #end(ctx: Context, place: Place, keys: readonly string[], cookie: string, tail: Tail): Promise<void> {
    await runAll(ctx, tail.tasks);
    await Promise.all(
      keys.map((key) =>
        this.#release(ctx, place, key, cookie, tail.forgotten).catch((error: unknown) => {
          ctx.log.warn({ key, error: messageOf(error) }, "a lock was not released: it ends by itself");
        }),
      ),
    );
  }

  // By locker and cookie: what is no longer ours stays another's.
  async #release(ctx: Context, place: Place, key: string, cookie: string, forget: boolean): Promise<void> {
    const object = objectOf(key);
    const args = ["lock", "info", object, LOCK, ...at(place)];
    const answer = await this.cluster.json(ctx, "rados", args);
    const locker = InfoAnswer.parse(answer).lockers.find((one) => one.cookie === cookie);
    if (!locker) return;
    if (forget) {
      await this.cluster.run(ctx, "rados", ["rm", object, ...at(place)]);
      return;
    }
    await this.cluster.run(ctx, "rados", [
      ...["lock", "break", object, LOCK, locker.name, "--lock-cookie", cookie],
      ...at(place),
    ]);
  }
}

async function runAll(ctx: Context, tasks: readonly Task[]): Promise<void> {
  for (const task of tasks)
    await task(ctx).catch((error: unknown) => {
      ctx.log.warn({ error: messageOf(error) }, "what a call left to be done is left to the next sweep");
    });
}

const objectOf = (key: string) => `granary.lock.${key}`;
const at = ({ pool, namespace }: Place) => ["--pool", pool, ...(namespace === "" ? [] : ["--namespace", namespace])];
