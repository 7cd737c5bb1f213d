import type { Bucket } from "../../model/bucket.js";
import type { ObjectAttributes } from "../../model/object.js";
import type { Context } from "../types.js";
import { objectsFolder } from "./bucket-book.js";
import type { Notes } from "./notes.js";

const LOOKED_AT_MS = 1000;
const STANDARD = "STANDARD";

/**
 * Whether a bucket's listings say all by themselves. Owner and storage class of an object are in its record and not in the
 * upstream's listings; while all objects are the bucket owner's and STANDARD, nothing has to be looked up. The first other
 * one marks the bucket, before it is written; a marked bucket stays marked.
 */
export class Marks {
  readonly #notes: Notes;
  readonly #marked = new Set<string>();
  readonly #looked = new Map<string, number>();

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  async before(ctx: Context, bucket: Bucket, { ownerId, storageClass }: ObjectAttributes): Promise<void> {
    if (ownerId !== bucket.ownerId || storageClass !== STANDARD) await this.mark(ctx, bucket);
  }

  async mark(ctx: Context, bucket: Bucket): Promise<void> {
    const key = keyOf(bucket);
    if (this.#marked.has(key)) return;
    await this.#notes.write(ctx, key, {}, "any");
    this.#marked.add(key);
  }

  async isMarked(ctx: Context, bucket: Bucket): Promise<boolean> {
    const key = keyOf(bucket);
    if (this.#marked.has(key)) return true;
    const now = Date.now();
    if (now - (this.#looked.get(key) ?? 0) < LOOKED_AT_MS) return false;
    if ((await this.#notes.read(ctx, key)) === undefined) {
      this.#looked.set(key, now);
      return false;
    }
    this.#marked.add(key);
    return true;
  }
}

// A bucket that was made anew under its name begins unmarked.
const keyOf = ({ name, createdMs }: Bucket) => `${objectsFolder(name)}marked-${createdMs}`;
