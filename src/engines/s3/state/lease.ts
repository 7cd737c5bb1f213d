import { randomBytes } from "node:crypto";
import type { Context } from "../../types.js";
import type { Documents } from "./documents.js";

/** A holder that has not said anything for so long is dead: by the upstream's own clock, of which there is one. */
const TTL_MS = 30_000;
const RENEW_MS = 8_000;

/**
 * Work that one of many gateways does at a time: a document that its holder writes again and again. What it protects must
 * bear two at once for a moment, as a holder may be slow to notice that it is none any more.
 */
export class SharedLease {
  readonly #documents: Documents;
  readonly #key: string;
  readonly #holder = randomBytes(12).toString("hex");

  constructor(documents: Documents, name: string) {
    this.#documents = documents;
    this.#key = `gateways/${name}`;
  }

  /** Does the work unless another has the lease; its signal ends when the lease is lost. @returns whether it was done */
  async run(ctx: Context, work: (ctx: Context) => Promise<void>): Promise<boolean> {
    const now = await this.#documents.readAll(ctx, this.#key);
    if (now.text !== "" && now.ageMs < TTL_MS) return false;
    let etag = await this.#documents.swap(ctx, this.#key, now.etag, this.#text());
    if (etag === undefined) return false;
    const lost = new AbortController();
    let renewing: Promise<void> = Promise.resolve();
    const timer = setInterval(() => {
      renewing = this.#renew(ctx, etag ?? "", lost).then((renewed) => {
        etag = renewed ?? etag;
      });
    }, RENEW_MS);
    try {
      await work({ ...ctx, signal: AbortSignal.any([ctx.signal, lost.signal]) });
    } finally {
      clearInterval(timer);
      await renewing;
      if (!lost.signal.aborted) await this.#giveBack(ctx, etag);
    }
    return true;
  }

  async #renew(ctx: Context, etag: string, lost: AbortController): Promise<string | undefined> {
    const renewed = await this.#documents
      .swap(
        { ...ctx, signal: AbortSignal.any([ctx.signal, AbortSignal.timeout(RENEW_MS)]) },
        this.#key,
        etag,
        this.#text(),
      )
      .catch(() => undefined);
    if (renewed === undefined) lost.abort();
    return renewed;
  }

  async #giveBack(ctx: Context, etag: string): Promise<void> {
    const own = { ...ctx, signal: AbortSignal.timeout(RENEW_MS) };
    await this.#documents.swap(own, this.#key, etag, "").catch(() => undefined);
  }

  #text(): string {
    return JSON.stringify({ holder: this.#holder });
  }
}
