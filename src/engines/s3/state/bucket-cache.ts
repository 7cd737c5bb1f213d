import type { Bucket } from "../../../model/bucket.js";
import type { Context } from "../../types.js";
import { type BucketDocument, bucketDocument, bucketKey, isThere } from "./bucket-document.js";
import { ABSENT, type Documents, type Listed } from "./documents.js";

/** So old an answer is given again without asking. */
const FRESH_MS = 300;
/** Up to here the old answer is given once more, and asked for behind it. A change is seen within this. */
const USABLE_MS = 900;
const MAX_CACHED = 20_000;
const READ_AT_ONCE = 16;

interface Entry {
  readonly etag: string;
  readonly document: BucketDocument;
  /** When the request was sent that this is known by. */
  comparedMs: number;
}

/**
 * Buckets' documents as this process knows them: read through, each compared with the upstream's ETag when it is asked for
 * and was not lately. What nobody asks for costs nothing, a busy bucket some three small requests a second
 * (docs/decisions/014). Buckets that are not there are not remembered.
 */
export class BucketCache {
  readonly #documents: Documents;
  readonly #entries = new Map<string, Entry>();
  readonly #reading = new Map<string, Promise<Entry | undefined>>();

  constructor(documents: Documents) {
    this.#documents = documents;
  }

  /** As it was a second ago at most; the same value while it stands. */
  async bucket(ctx: Context, name: string): Promise<Bucket | undefined> {
    const entry = this.#entries.get(name);
    const ageMs = entry ? performance.now() - entry.comparedMs : Number.POSITIVE_INFINITY;
    // What is on its way to be a bucket may be one by now: only what is there is answered for without asking.
    if (entry && isThere(entry.document) && ageMs < USABLE_MS) {
      if (ageMs > FRESH_MS) void this.#read(background(ctx), name).catch(() => undefined);
      return entry.document.bucket;
    }
    const read = await this.#read(background(ctx), name);
    return isThere(read?.document) ? read.document.bucket : undefined;
  }

  /** What was just written, unless something later is known. */
  took(name: string, etag: string, document: BucketDocument): void {
    const known = this.#entries.get(name);
    if (known && known.document.bucket.revision > document.bucket.revision) return;
    this.#put(name, { etag, document, comparedMs: performance.now() });
    // What was asked before may be answered with what was before.
    this.#reading.delete(name);
  }

  forget(name: string): void {
    this.#entries.delete(name);
    this.#reading.delete(name);
  }

  /** One request at a time for a bucket, which all that wait for it share: no signal of one may end it for the others. */
  #read(ctx: Context, name: string): Promise<Entry | undefined> {
    const under = this.#reading.get(name);
    if (under) return under;
    const reading: Promise<Entry | undefined> = this.#ask(ctx, name, () => this.#reading.get(name) === reading).finally(
      () => {
        if (this.#reading.get(name) === reading) this.#reading.delete(name);
      },
    );
    this.#reading.set(name, reading);
    return reading;
  }

  /** `isWanted`: nothing else became known meanwhile; else the answer is not kept. */
  async #ask(ctx: Context, name: string, isWanted: () => boolean): Promise<Entry | undefined> {
    const before = this.#entries.get(name);
    const sentMs = performance.now();
    const answer = await this.#documents.read(ctx, bucketKey(name), before?.etag);
    if (answer === "unchanged") {
      if (before) before.comparedMs = Math.max(before.comparedMs, sentMs);
      return before;
    }
    const document = bucketDocument(answer, name);
    const entry = document && { etag: answer.etag, document, comparedMs: sentMs };
    if (!isWanted()) return entry;
    if (entry) this.#put(name, entry);
    else this.#entries.delete(name);
    return entry;
  }

  #put(name: string, entry: Entry): void {
    if (this.#entries.size >= MAX_CACHED && !this.#entries.has(name)) this.#entries.clear();
    const known = this.#entries.get(name);
    const same = known && known.document.bucket.revision === entry.document.bucket.revision;
    const document = same ? { state: entry.document.state, bucket: known.document.bucket } : entry.document;
    this.#entries.set(name, { ...entry, document });
  }

  /** Of a page of the listing: the listing's ETags say which of them are known already. */
  async listed(ctx: Context, rows: readonly (Listed & { name: string })[]): Promise<Bucket[]> {
    const found: (Bucket | undefined)[] = new Array(rows.length);
    let next = 0;
    const work = async () => {
      for (let i = next++; i < rows.length; i = next++) {
        const { name, etag } = rows[i] as Listed & { name: string };
        const known = this.#entries.get(name);
        const entry = known?.etag === etag && etag !== ABSENT ? known : await this.#read(background(ctx), name);
        found[i] = isThere(entry?.document) ? entry.document.bucket : undefined;
      }
    };
    await Promise.all(Array.from({ length: READ_AT_ONCE }, work));
    return found.filter((bucket) => bucket !== undefined);
  }
}

const READ_DEADLINE_MS = 10_000;
const background = (ctx: Context): Context => ({ ...plain(ctx), signal: AbortSignal.timeout(READ_DEADLINE_MS) });
const plain = ({ requestId, log }: Context) => ({ requestId, log });
