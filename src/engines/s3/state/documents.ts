/**
 * Documents in the reserved bucket, changed by compare-and-swap: a write names the ETag it was decided on, or that nothing
 * is there, and the upstream lets one of many through (If-Match and If-None-Match of PUT; `proveSwap` holds at the start
 * that it does). No document is ever removed that another gateway may be about to change: it becomes empty, which is as good
 * as not there. So an unconditional DELETE, the only one that Ceph 16 has, can take away nothing that was written meanwhile.
 *
 * What a crash leaves: a document is as before or as after. A write whose answer was lost is looked up: each has a first
 * line of its own, so that no two have the same bytes, or ETag, whatever they say.
 */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { refused, StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import { drain, textOf, type UpstreamClient, type UpstreamRequest } from "../client.js";
import { failureOfAnswer } from "../failures.js";

export interface Document {
  readonly etag: string;
  /** "": nothing is there, any more or yet. */
  readonly text: string;
  /** How long ago it was written, by the upstream's own clock, in whole seconds. */
  readonly ageMs: number;
}

/** The ETag of what was never there. */
export const ABSENT = "";
const NOTHING: Document = { etag: ABSENT, text: "", ageMs: Number.POSITIVE_INFINITY };

const TRIES = 60;
const BACKOFF_MS = 15;
const MAX_BACKOFF_MS = 400;

export class Documents {
  readonly client: UpstreamClient;
  readonly bucket: string;
  /** Whether the upstream wants an If-Match in quotes. */
  #quotes = false;
  /** The last change under way of each document: those of one process queue up, and do not race each other. */
  readonly #queues = new Map<string, Promise<unknown>>();

  constructor(client: UpstreamClient, bucket: string) {
    this.client = client;
    this.bucket = bucket;
  }

  /** `known`: the ETag that the caller has; "unchanged" when it is still that one's. */
  async read(ctx: Context, key: string, known?: string): Promise<Document | "unchanged"> {
    const headers = known ? { "if-none-match": quoted(known) } : {};
    const request: UpstreamRequest = { method: "GET", bucket: this.bucket, key, headers };
    const answer = await this.client.send(ctx, request);
    const text = await textOf(answer);
    if (answer.status === 304) return "unchanged";
    if (answer.status === 404) {
      if (text.includes("<Code>NoSuchBucket</Code>")) throw gone(this.bucket);
      return NOTHING;
    }
    if (answer.status !== 200) throw failureOfAnswer(request, answer.status, text);
    const { etag, date, "last-modified": modified } = answer.headers;
    const ageMs = Math.max(0, Date.parse(date ?? "") - Date.parse(modified ?? "")) || 0;
    return { etag: unquoted(etag), text: text.slice(text.indexOf("\n") + 1), ageMs };
  }

  async readAll(ctx: Context, key: string): Promise<Document> {
    return (await this.read(ctx, key)) as Document;
  }

  /**
   * Writes the document if it still has this ETag.
   *
   * @returns its new ETag, or undefined when another was first
   */
  async swap(ctx: Context, key: string, expected: string, text: string): Promise<string | undefined> {
    const bytes = Buffer.from(text === "" ? "" : `${randomBytes(12).toString("hex")}\n${text}`);
    const tried = await this.#put(ctx, key, expected, bytes);
    if (tried.etag !== undefined) return tried.etag;
    // Refused because it is written already, by the request whose answer was lost? Nobody else writes these bytes.
    const now = await this.readAll(ctx, key);
    if (now.etag === md5(bytes) && text !== "") return now.etag;
    if (now.etag !== expected) return undefined;
    if (tried.isUnknown) throw tried.failure;
    if (expected === ABSENT || this.#quotes) return undefined;
    // Ceph 16 holds the ETag's quotes against it, others may miss them.
    this.#quotes = true;
    const again = await this.#put(ctx, key, expected, bytes);
    if (again.etag === undefined) this.#quotes = false;
    return again.etag;
  }

  async #put(
    ctx: Context,
    key: string,
    expected: string,
    body: Buffer,
  ): Promise<{ etag: string } | { etag: undefined; failure: StorageError; isUnknown: boolean }> {
    const etag = this.#quotes ? quoted(expected) : expected;
    const condition: Record<string, string> = expected === ABSENT ? { "if-none-match": "*" } : { "if-match": etag };
    const headers = { ...condition, "content-type": "text/plain" };
    const request: UpstreamRequest = { method: "PUT", bucket: this.bucket, key, headers, body };
    try {
      const answer = await this.client.send(ctx, request);
      const said = await textOf(answer);
      if (answer.status === 200) return { etag: unquoted(answer.headers.etag) };
      if (answer.status === 404 && said.includes("<Code>NoSuchBucket</Code>")) throw gone(this.bucket);
      const failure = failureOfAnswer(request, answer.status, said);
      // Of writes that race, Ceph 16 answers some that lose with 500.
      const isLost = [404, 409, 412, 500].includes(answer.status);
      if (!isLost && answer.status < 500) throw failure;
      return { etag: undefined, failure, isUnknown: !isLost };
    } catch (error) {
      // What became of it is not known.
      if (error instanceof StorageError && error.code === "unavailable") {
        return { etag: undefined, failure: error, isUnknown: true };
      }
      throw error;
    }
  }

  /**
   * Changes a document by what is decided from it, again and again until nobody was in between. `decide` answers the new
   * text, or undefined to leave it as it is.
   *
   * @throws what `decide` throws; conflict when others change it all the time
   */
  change<T>(
    ctx: Context,
    key: string,
    decide: (now: Document) => { text: string; result: T } | undefined,
  ): Promise<{ etag: string; result: T } | undefined> {
    const before = this.#queues.get(key) ?? Promise.resolve();
    const own = before.then(() => this.#change(ctx, key, decide));
    const over: Promise<void> = own
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        if (this.#queues.get(key) === over) this.#queues.delete(key);
      });
    this.#queues.set(key, over);
    return own;
  }

  async #change<T>(
    ctx: Context,
    key: string,
    decide: (now: Document) => { text: string; result: T } | undefined,
  ): Promise<{ etag: string; result: T } | undefined> {
    for (let tried = 0; tried < TRIES; tried++) {
      const now = await this.readAll(ctx, key);
      const decided = decide(now);
      if (!decided) return undefined;
      const etag = await this.swap(ctx, key, now.etag, decided.text);
      if (etag !== undefined) return { etag, result: decided.result };
      const mostMs = Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** Math.min(tried, 10));
      await wait(Math.random() * mostMs, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
    }
    throw refused("conflict", `${key} was changed by others ${TRIES} times while this waited; try again`);
  }

  /** Keys under a prefix, in order, with the ETag of each; of documents that are there. At most 1000 after `after`. */
  async list(ctx: Context, prefix: string, after: string): Promise<{ entries: Listed[]; truncated: boolean }> {
    const query = {
      "list-type": "2",
      "encoding-type": "url",
      prefix,
      ...(after === "" ? {} : { "start-after": after }),
    };
    const request: UpstreamRequest = { method: "GET", bucket: this.bucket, query };
    const answer = await this.client.send(ctx, request);
    const text = await textOf(answer);
    if (answer.status === 404) throw gone(this.bucket);
    if (answer.status !== 200) throw failureOfAnswer(request, answer.status, text);
    const entries: Listed[] = [];
    for (const [, row = ""] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs))
      entries.push({
        key: decodeURIComponent(within(row, "Key").replace(/\+/g, " ")),
        etag: within(row, "ETag").replace(/&quot;|"/g, ""),
        sizeBytes: Number(within(row, "Size")),
      });
    return { entries, truncated: text.includes("<IsTruncated>true</IsTruncated>") };
  }

  /** Of keys that no other gateway writes again. */
  async remove(ctx: Context, key: string): Promise<void> {
    await drain(await this.client.expect(ctx, { method: "DELETE", bucket: this.bucket, key }, 204, 404));
  }
}

export interface Listed {
  readonly key: string;
  readonly etag: string;
  readonly sizeBytes: number;
}

const gone = (bucket: string) =>
  new StorageError("unavailable", `the reserved bucket ${bucket} is not there upstream: restore it, or restart`);

const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");
const quoted = (etag: string): string => `"${etag}"`;
const unquoted = (etag: string | undefined): string => (etag ?? "").replace(/^"|"$/g, "");

/** The text of a row's element. */
function within(row: string, name: string): string {
  const start = row.indexOf(`<${name}>`) + name.length + 2;
  return row.slice(start, row.indexOf(`</${name}>`, start));
}
