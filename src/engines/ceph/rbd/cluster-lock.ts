import { randomUUID } from "node:crypto";
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

/** What is done under a lock once the call has been answered: nobody waits for it. */
export class Tail {
  readonly tasks: ((ctx: Context) => Promise<void>)[] = [];
  forgotten = false;

  after(task: (ctx: Context) => Promise<void>): void {
    this.tasks.push(task);
  }

  /** The name is gone, and its lock's object goes with it. */
  forget(): void {
    this.forgotten = true;
  }
}

/**
 * One operation at a time on a name, over all controllers of a cluster: an exclusive lock of RADOS on an object for the
 * name, that ends by itself when its holder died. A second one does not wait: it is aborted, as its caller tries again.
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
      const ended = this.#end(ctx, place, wanted, cookie, tail);
      for (const key of wanted) this.#releasing.set(key, ended);
      this.#ends.add(ended);
      void ended.finally(() => {
        this.#ends.delete(ended);
        for (const key of wanted) if (this.#releasing.get(key) === ended) this.#releasing.delete(key);
      });
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
    try {
      await this.cluster.run(ctx, "rados", [...at(place), "lock", "get", objectOf(key), LOCK, ...options]);
    } catch (error) {
      if (!isCode(error, "aborted", "already-exists")) throw error;
      throw new StorageError(
        "aborted",
        `another controller works on it, or one that works on it died within ${this.seconds} s; retry later`,
        { cause: error },
      );
    }
  }

  async #end(request: Context, place: Place, keys: readonly string[], cookie: string, tail: Tail): Promise<void> {
    // The request may be over: what is left of it is not.
    const { secrets, log, requestId } = request;
    const signal = AbortSignal.timeout(this.seconds * 1000 * (1 - USABLE));
    const ctx: Context = { signal, log, requestId, ...(secrets && { secrets }) };
    for (const task of tail.tasks)
      await task(ctx).catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, "what a call left to be done is left to the next sweep");
      });
    await Promise.all(
      keys.map((key) =>
        this.#release(ctx, place, key, cookie, tail.forgotten).catch((error: unknown) => {
          log.warn({ key, error: messageOf(error) }, "a lock was not released: it ends by itself");
        }),
      ),
    );
  }

  // By locker and cookie: what is no longer ours stays another's.
  async #release(ctx: Context, place: Place, key: string, cookie: string, forget: boolean): Promise<void> {
    const object = objectOf(key);
    const args = [...at(place), "lock", "info", object, LOCK];
    const answer = await this.cluster.json(ctx, "rados", args);
    const locker = InfoAnswer.parse(answer).lockers.find((one) => one.cookie === cookie);
    if (!locker) return;
    if (forget) {
      await this.cluster.run(ctx, "rados", [...at(place), "rm", object]);
      return;
    }
    await this.cluster.run(ctx, "rados", [
      ...at(place),
      ...["lock", "break", object, LOCK, locker.name, "--lock-cookie", cookie],
    ]);
  }
}

const objectOf = (key: string) => `granary.lock.${key}`;
const at = ({ pool, namespace }: Place) => ["--pool", pool, ...(namespace === "" ? [] : ["--namespace", namespace])];
