import { StorageError } from "../../../../errors/storage-error.js";
import { type Step, step, watchesSteps } from "../../../../runtime/steps.js";
import { type CommittedName, type Refusal, toRefusal } from "../protocol.js";
import type { MetadataRoom } from "./metadata-room.js";
import { OPERATIONS } from "./operations.js";
import type { Store } from "./store.js";

/** A request that waits for its commit. */
export interface Pending {
  readonly operation: CommittedName;
  readonly request: unknown;
  /** Of its message: what a commit may hold is bounded. */
  readonly bytes: number;
  /** Called once, after the commit that holds it, or after it was refused. */
  readonly settle: (outcome: Outcome) => void;
}

export type Outcome = { readonly reply: unknown } | { readonly refusal: Refusal };

const MAX_BATCH_OPERATIONS = 1024;
const MAX_BATCH_BYTES = 16 * 1024 ** 2;

/**
 * Group commit without timers: everything that has arrived goes in one transaction with one sync; while that runs, in
 * this thread, the next gathers in the sockets.
 */
export class Committer {
  readonly #store: Store;
  readonly #room: MetadataRoom;
  readonly #failed: (error: Error) => void;
  #queue: Pending[] = [];
  #scheduled = false;

  /** `failed`: the environment takes no more commits; the thread must end. */
  constructor(store: Store, room: MetadataRoom, failed: (error: Error) => void) {
    this.#store = store;
    this.#room = room;
    this.#failed = failed;
  }

  add(pending: Pending): void {
    this.#queue.push(pending);
    this.#schedule();
  }

  get waiting(): number {
    return this.#queue.length;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the turn in which sockets are read: what came in on any of them goes together.
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    const batch = this.#takeBatch();
    if (batch.length > 0) this.#commit(batch);
    if (this.#queue.length > 0) this.#schedule();
  };

  #takeBatch(): Pending[] {
    let count = 0;
    let bytes = 0;
    for (const pending of this.#queue) {
      if (count === MAX_BATCH_OPERATIONS || (count > 0 && bytes + pending.bytes > MAX_BATCH_BYTES)) break;
      count++;
      bytes += pending.bytes;
    }
    if (count === this.#queue.length) {
      const batch = this.#queue;
      this.#queue = [];
      return batch;
    }
    return this.#queue.splice(0, count);
  }

  #commit(batch: readonly Pending[]): void {
    const outcomes: Outcome[] = [];
    try {
      this.#store.tables.root.transactionSync(() => {
        this.#store.begin();
        for (const pending of batch) outcomes.push(this.#apply(pending));
        this.#store.end();
        passSteps(batch, "applied");
      });
    } catch (error) {
      this.#undone(batch, error);
      return;
    }
    passSteps(batch, "committed");
    for (const [i, pending] of batch.entries()) pending.settle(outcomes[i] as Outcome);
  }

  #apply({ operation, request, bytes }: Pending): Outcome {
    try {
      this.#room.require(operation, bytes);
      const run = OPERATIONS[operation] as (store: Store, request: unknown) => unknown;
      return { reply: run(this.#store, request) };
    } catch (error) {
      if (error instanceof StorageError) return { refusal: toRefusal(error) };
      throw error;
    }
  }

  /** Nothing of the transaction is there. Of several, each is tried by itself, so that one that fails takes no other along. */
  #undone(batch: readonly Pending[], error: unknown): void {
    try {
      this.#store.reset();
    } catch (unreadable) {
      this.#failed(unreadable as Error);
      return;
    }
    const [only] = batch;
    if (batch.length === 1 && only) only.settle({ refusal: toRefusal(this.#room.failure() ?? failureOf(error)) });
    else for (const pending of batch) this.#commit([pending]);
  }
}

/** Of an error that is no refusal: what LMDB says when the disk is full, or else internal. */
function failureOf(error: unknown): StorageError {
  const text = error instanceof Error ? error.message : String(error);
  const cause = { cause: error };
  if (/ENOSPC|No space left|EDQUOT|MDB_MAP_FULL/i.test(text))
    return new StorageError("resource-exhausted", "the store's disk is full", { ...cause, reason: "storage-full" });
  if (/EROFS|Read-only file system|EACCES/i.test(text))
    return new StorageError("failed-precondition", "the store's disk is read-only", { ...cause, reason: "read-only" });
  return new StorageError("internal", `the metadata could not be written: ${text}`, cause);
}

function passSteps(batch: readonly Pending[], moment: "applied" | "committed"): void {
  if (!watchesSteps()) return;
  for (const { operation } of batch) step(`object-writer/${operation}-${moment}` as Step);
}
