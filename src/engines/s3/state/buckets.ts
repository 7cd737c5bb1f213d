/**
 * Buckets: a record in the reserved bucket for each, and the upstream's bucket that has its objects. The record comes first
 * and goes last, and says in which step it is (bucket-document.ts):
 *
 * create: record `creating` (made where there is none: of many that race, one), upstream bucket, record `ready`.
 * change: record; where it changes how versions are kept: record `changing`, upstream, record `ready`.
 * delete: record `deleting`, upstream bucket (refused where it is not empty: back to `ready`), what else is kept of its
 *   objects, record empty.
 *
 * A gateway that dies in between leaves a record that says so. Whoever comes to that name next finishes it: a creation is
 * begun anew by the next creation, and undone by a deletion; a change is done by the next change; a deletion goes on with the next creation or
 * deletion. Within TAKEN_OVER_MS it may still be under way, and the name is answered for as taken.
 */
import { setTimeout as wait } from "node:timers/promises";
import { refused, StorageError } from "../../../errors/storage-error.js";
import type { Bucket, BucketChange, NewBucket } from "../../../model/bucket.js";
import { step } from "../../../runtime/steps.js";
import { changedBucket, madeBucket } from "../../bucket-change.js";
import type { Context } from "../../types.js";
import { objectsFolder } from "../bucket-book.js";
import type { BucketCache } from "./bucket-cache.js";
import {
  type BucketDocument,
  type BucketState,
  bucketDocument,
  bucketKey,
  bucketNameOf,
  bucketText,
  isThere,
} from "./bucket-document.js";
import type { Document, Documents } from "./documents.js";
import type { Told } from "./told.js";
import type { UpstreamBuckets } from "./upstream-buckets.js";

/** After so long without a step its gateway is taken for dead. Longer than any one step takes. */
const TAKEN_OVER_MS = 15_000;
const MADE_MS = 3_000;
const LOOK_MS = 100;
const PAGE = 1000;

export interface BucketSources {
  readonly documents: Documents;
  readonly cache: BucketCache;
  readonly upstream: UpstreamBuckets;
  readonly told: Told;
}

/** A record with the ETag that it was read by. */
interface Held extends BucketDocument {
  readonly etag: string;
}

export class Buckets {
  readonly #sources: BucketSources;
  /** Records of creations that this process began and gave up, by ETag: they are nobody's. */
  readonly #givenUp = new Set<string>();

  constructor(sources: BucketSources) {
    this.#sources = sources;
  }

  async create(ctx: Context, wanted: NewBucket): Promise<Bucket> {
    const { documents, upstream } = this.#sources;
    upstream.checkName(wanted.name);
    const there = await this.#read(ctx, wanted.name);
    if (there?.state === "deleting") await this.#goOnDeleting(ctx, there);
    const nowMs = Date.now();
    const bucket = madeBucket(wanted, nowMs, nowMs);
    const claimed = await documents
      .change(ctx, bucketKey(wanted.name), (now) => {
        const before = bucketDocument(now, wanted.name);
        const isAbandoned = before?.state === "creating" && (now.ageMs > TAKEN_OVER_MS || this.#givenUp.has(now.etag));
        if (before && !isAbandoned) throw refused("bucket-exists", `bucket ${JSON.stringify(wanted.name)} exists`);
        return { text: bucketText({ state: "creating", bucket }), result: undefined };
      })
      .catch(async (error: unknown) => {
        // Who is told that a bucket exists looks at it next: whose it is.
        if (error instanceof StorageError && error.reason === "bucket-exists") await this.#untilMade(ctx, wanted.name);
        throw error;
      });
    step("upstream-bucket/claimed");
    const held: Held = { state: "creating", bucket, etag: claimed?.etag ?? "" };
    try {
      await upstream.create(ctx, bucket);
    } catch (error) {
      this.#givenUp.add(held.etag);
      // The name is free again. Where the upstream does not answer that either, the next to come to it finds it given up.
      await this.#swap(ctx, held, undefined).catch(() => undefined);
      throw error;
    }
    step("upstream-bucket/made");
    await this.#must(ctx, held, "ready");
    await this.#tell(wanted.name);
    return bucket;
  }

  /** While another request makes it, for some seconds at most. */
  async #untilMade(ctx: Context, name: string): Promise<void> {
    for (let waitedMs = 0; waitedMs < MADE_MS && !ctx.signal.aborted; waitedMs += LOOK_MS) {
      if ((await this.#read(ctx, name))?.state !== "creating") return;
      await wait(LOOK_MS);
    }
  }

  async change(ctx: Context, name: string, change: BucketChange, revision?: number): Promise<Bucket> {
    const { documents } = this.#sources;
    const done = await documents.change(ctx, bucketKey(name), (now) => {
      const before = bucketDocument(now, name);
      if (!isThere(before)) throw noSuchBucket(name);
      if (revision !== undefined && before.bucket.revision !== revision)
        throw refused("conflict", `bucket ${name} has changed since it was looked at; try again`);
      const bucket = changedBucket(before.bucket, change, Math.max(before.bucket.revision + 1, Date.now()));
      // An earlier change that has not come upstream goes there with this one.
      const state: BucketState =
        before.state === "changing" || bucket.versioning !== before.bucket.versioning ? "changing" : "ready";
      return { text: bucketText({ state, bucket }), result: { state, bucket } };
    });
    if (!done) throw new Error("a change of a bucket was not decided");
    const { state, bucket } = done.result;
    if (state === "changing") await this.#applyVersioning(ctx, { ...done.result, etag: done.etag });
    else this.#sources.cache.took(name, done.etag, done.result);
    await this.#tell(name);
    return (await this.#sources.cache.bucket(ctx, name)) ?? bucket;
  }

  /** Until upstream and record agree: where the record was changed again meanwhile, the later one is what upstream must do. */
  async #applyVersioning(ctx: Context, held: Held): Promise<void> {
    for (let now: Held | undefined = held; now?.state === "changing"; ) {
      step("upstream-bucket/changed");
      await this.#sources.upstream.setVersioning(ctx, now.bucket);
      step("upstream-bucket/versioning-set");
      if (await this.#swap(ctx, now, "ready")) return;
      now = await this.#read(ctx, held.bucket.name);
    }
  }

  async delete(ctx: Context, name: string): Promise<void> {
    const there = await this.#read(ctx, name);
    if (there?.state === "deleting") {
      await this.#goOnDeleting(ctx, there);
      throw noSuchBucket(name);
    }
    if (there?.state === "creating") {
      await this.#undoCreation(ctx, there);
      throw noSuchBucket(name);
    }
    if (!there) throw noSuchBucket(name);
    await this.#sources.upstream.checkEmpty(ctx, name);
    const deleting = await this.#swap(ctx, there, "deleting");
    if (!deleting) throw refused("conflict", `bucket ${name} has changed since it was looked at; try again`);
    await this.#tell(name);
    step("upstream-bucket/deleting");
    try {
      await this.#finishDeleting(ctx, deleting);
    } catch (error) {
      if (error instanceof StorageError && error.reason === "bucket-not-empty") {
        await this.#swap(ctx, deleting, "ready");
        await this.#tell(name);
      }
      throw error;
    }
  }

  async #undoCreation(ctx: Context, there: Held): Promise<void> {
    if (!(await this.#isAbandoned(ctx, there.bucket.name))) return;
    const deleting = await this.#swap(ctx, there, "deleting");
    if (deleting) await this.#finishDeleting(ctx, deleting);
  }

  async #goOnDeleting(ctx: Context, there: Held): Promise<void> {
    const { name } = there.bucket;
    if (!(await this.#isAbandoned(ctx, name)))
      throw refused("conflict", `bucket ${name} is being deleted by another request; try again`);
    // Taken over by a write, so that whoever was on it before can no longer put it back to `ready`.
    const own = await this.#swap(ctx, { ...there, bucket: revised(there.bucket) }, "deleting");
    if (!own) throw refused("conflict", `bucket ${name} is being deleted by another request; try again`);
    await this.#finishDeleting(ctx, own).catch(async (error: unknown) => {
      if (error instanceof StorageError && error.reason === "bucket-not-empty") await this.#swap(ctx, own, "ready");
      throw error;
    });
  }

  async #isAbandoned(ctx: Context, name: string): Promise<boolean> {
    return (await this.#sources.documents.readAll(ctx, bucketKey(name))).ageMs > TAKEN_OVER_MS;
  }

  /** Each step may have been taken already. */
  async #finishDeleting(ctx: Context, deleting: Held): Promise<void> {
    const { documents, upstream, cache } = this.#sources;
    const { name } = deleting.bucket;
    await upstream.delete(ctx, name);
    step("upstream-bucket/removed");
    const folder = objectsFolder(name);
    for (let truncated = true; truncated; ) {
      const page = await documents.list(ctx, folder, "");
      for (const { key } of page.entries) await documents.remove(ctx, key);
      truncated = page.truncated;
    }
    step("upstream-bucket/notes-removed");
    await this.#swap(ctx, deleting, undefined);
    cache.forget(name);
    await this.#tell(name);
  }

  /** In name order; only those that are there. */
  async list(
    ctx: Context,
    request: { prefix: string; after: string; limit: number; ownerId?: string },
  ): Promise<Bucket[]> {
    const found: Bucket[] = [];
    const { documents, cache } = this.#sources;
    const { prefix, ownerId } = request;
    for (let after = request.after === "" ? "" : bucketKey(request.after); found.length < request.limit; ) {
      const { entries, truncated } = await documents.list(ctx, bucketKey(prefix), after);
      const rows = entries
        .filter(({ sizeBytes }) => sizeBytes > 0)
        .map((row) => ({ ...row, name: bucketNameOf(row.key) }));
      for (let i = 0; i < rows.length && found.length < request.limit; i += PAGE)
        for (const bucket of await cache.listed(ctx, rows.slice(i, i + PAGE)))
          if (ownerId === undefined || bucket.ownerId === ownerId) found.push(bucket);
      if (!truncated) break;
      after = entries.at(-1)?.key ?? "";
    }
    return found.slice(0, request.limit);
  }

  async #read(ctx: Context, name: string): Promise<Held | undefined> {
    const read: Document = await this.#sources.documents.readAll(ctx, bucketKey(name));
    const document = bucketDocument(read, name);
    return document && { ...document, etag: read.etag };
  }

  /** @returns undefined when the record is another by now. `state` undefined: no bucket any more. */
  async #swap(ctx: Context, held: Held, state: BucketState | undefined): Promise<Held | undefined> {
    const { documents, cache } = this.#sources;
    const { bucket } = held;
    const text = state === undefined ? "" : bucketText({ state, bucket });
    const etag = await documents.swap(ctx, bucketKey(bucket.name), held.etag, text);
    if (etag === undefined) return undefined;
    if (state === undefined) cache.forget(bucket.name);
    else cache.took(bucket.name, etag, { state, bucket });
    return state && { state, bucket, etag };
  }

  async #must(ctx: Context, held: Held, state: BucketState): Promise<void> {
    if (!(await this.#swap(ctx, held, state)))
      throw refused("conflict", `bucket ${held.bucket.name} was taken over by another request; try again`);
  }

  #tell(name: string): Promise<void> {
    return this.#sources.told.changed({ kind: "bucket", name });
  }
}

const revised = (bucket: Bucket): Bucket => ({ ...bucket, revision: Math.max(bucket.revision + 1, Date.now()) });
const noSuchBucket = (name: string) => refused("no-such-bucket", `bucket ${JSON.stringify(name)} is not there`);
