import { randomBytes } from "node:crypto";
import { refused, StorageError } from "../../errors/storage-error.js";
import type { Context } from "../types.js";
import { isConflict, leaseKey, type Note, type Notes } from "./notes.js";

/**
 * Who decides on a key where the upstream has no condition of its own: Ceph 16 decides If-Match and If-None-Match of a PUT
 * where the bucket has no versions, and of nothing else. A lease is a note that is there or not, made by a conditional
 * PUT; a gateway that died with one holds others up for as long as it says.
 *
 * The time is the gateways' own: clocks may differ by what a lease is longer than its use.
 */
const HELD_MS = 30_000;
/** So long before its end a holder takes it for lost. */
const MARGIN_MS = 10_000;
const WAITED_MS = 20_000;

interface Lease {
  holder: string;
  untilMs: number;
}

export interface HeldLease {
  /** @throws busy where it may have passed to another meanwhile */
  check(): void;
  release(): Promise<void>;
}

export class Leases {
  readonly #notes: Notes;
  readonly #holder = randomBytes(8).toString("hex");
  /** Those of this process wait for one another here: the upstream is asked by one of them at a time. */
  readonly #queues = new Map<string, Promise<void>>();

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  /** @throws busy when it is not to be had in some seconds */
  async acquire(ctx: Context, bucket: string, key: string): Promise<HeldLease> {
    const at = leaseKey(bucket, key);
    const done = await this.#turn(at);
    try {
      const untilMs = await this.#take(ctx, at);
      return {
        check() {
          if (Date.now() > untilMs - MARGIN_MS) throw refused("busy", "the upstream took too long; try again");
        },
        release: async () => {
          try {
            // Later it may be another's.
            if (Date.now() < untilMs - MARGIN_MS) await this.#notes.remove(ctx, at);
          } catch (error) {
            ctx.log.warn({ err: error }, "a lease could not be given back; it ends by itself");
          } finally {
            done();
          }
        },
      };
    } catch (error) {
      done();
      throw error;
    }
  }

  /** `work` while nobody else does the like on the key. */
  async holding<T>(ctx: Context, bucket: string, key: string, work: (lease: HeldLease) => Promise<T>): Promise<T> {
    const lease = await this.acquire(ctx, bucket, key);
    try {
      return await work(lease);
    } finally {
      await lease.release();
    }
  }

  async #turn(at: string): Promise<() => void> {
    const before = this.#queues.get(at);
    let done: () => void = () => {};
    const mine = new Promise<void>((resolve) => {
      done = resolve;
    });
    const last = (before ?? Promise.resolve()).then(() => mine);
    this.#queues.set(at, last);
    await before;
    return () => {
      done();
      if (this.#queues.get(at) === last) this.#queues.delete(at);
    };
  }

  async #take(ctx: Context, at: string): Promise<number> {
    const giveUpMs = Date.now() + WAITED_MS;
    for (let pause = 5; ; pause = Math.min(pause * 2, 100)) {
      const untilMs = Date.now() + HELD_MS;
      const lease: Lease = { holder: this.#holder, untilMs };
      const there = await this.#try(ctx, at, lease);
      if (there === "taken") return untilMs;
      if (ctx.signal.aborted) throw new StorageError("cancelled", "the request was cancelled");
      if (Date.now() > giveUpMs) throw refused("busy", "the key is being changed by another request; try again");
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
    }
  }

  async #try(ctx: Context, at: string, lease: Lease): Promise<"taken" | "held"> {
    let there: Note<Lease> | undefined;
    try {
      await this.#notes.write(ctx, at, lease, "new");
      return "taken";
    } catch (error) {
      if (!isConflict(error)) throw error;
      there = await this.#notes.read<Lease>(ctx, at);
    }
    if (!there || there.value.untilMs > Date.now()) return "held";
    try {
      await this.#notes.write(ctx, at, lease, { etag: there.etag });
      return "taken";
    } catch (error) {
      if (!isConflict(error)) throw error;
      return "held";
    }
  }
}
