import { refused } from "../../../errors/storage-error.js";
import type { Bucket } from "../../../model/bucket.js";
import type { Context } from "../../types.js";
import type { UpstreamBuckets } from "./upstream-buckets.js";

interface Amount {
  objects: number;
  bytes: number;
}

interface Reckoning {
  /** What the upstream said, and when it was asked. */
  readonly counted: Amount;
  readonly askedMs: number;
  /** What this process let pass since. */
  readonly since: { atMs: number; more: Amount }[];
}

/** So long a count by listing is reckoned with, where the upstream has no quick one. */
const RECKONED_MS = 1_000;
const MAX_BUCKETS = 10_000;

/**
 * Quotas of buckets that many gateways write to. Before each write the upstream is asked for its own count (Ceph tells it
 * in an answer of a millisecond), and what this process let pass meanwhile is added: a quota is exceeded by what is under way
 * at one moment at most (docs/decisions/014). Another upstream's objects have to be counted by listing: there, by what the
 * other processes wrote in a second too. A write that replaces an object counts in full until it is over.
 */
export class Quotas {
  readonly #upstream: UpstreamBuckets;
  readonly #reckonings = new Map<string, Reckoning>();

  constructor(upstream: UpstreamBuckets) {
    this.#upstream = upstream;
  }

  /** @throws quota-exceeded */
  async check(ctx: Context, bucket: Bucket, more: Amount): Promise<void> {
    if (bucket.quotaBytes === null && bucket.quotaObjects === null) return;
    const quick = await this.#ask(bucket.name, () => this.#upstream.quickUsage(ctx, bucket.name));
    if (quick && fits(bucket, quick, more)) return pass(quick, more);
    const known = this.#reckonings.get(bucket.name);
    const isRecent = !quick && known && performance.now() - known.askedMs < RECKONED_MS;
    if (isRecent && fits(bucket, known, more)) return pass(known, more);
    // By Ceph's count a part is an object too. Ours is exact.
    const exact = await this.#ask(bucket.name, () => this.#upstream.usage(ctx, bucket));
    if (exact && fits(bucket, exact, more)) return pass(exact, more);
    throw exceeded(bucket);
  }

  async #ask(name: string, count: () => Promise<Amount | undefined>): Promise<Reckoning | undefined> {
    const askedMs = performance.now();
    const counted = await count();
    if (!counted) return undefined;
    // Let pass while the upstream counted: it may be in its count, or not.
    const since = this.#reckonings.get(name)?.since.filter(({ atMs }) => atMs >= askedMs) ?? [];
    const reckoning = { counted: { objects: counted.objects, bytes: counted.bytes }, askedMs, since };
    if (this.#reckonings.size >= MAX_BUCKETS) this.#reckonings.clear();
    this.#reckonings.set(name, reckoning);
    return reckoning;
  }
}

function pass(reckoning: Reckoning, more: Amount): void {
  reckoning.since.push({ atMs: performance.now(), more });
}

function fits(bucket: Bucket, { counted, since }: Reckoning, more: Amount): boolean {
  let { objects, bytes } = counted;
  for (const passed of [...since.map((one) => one.more), more]) {
    objects += passed.objects;
    bytes += passed.bytes;
  }
  const within = (amount: number, added: number, quota: number | null) =>
    quota === null || added <= 0 || amount <= quota;
  return within(objects, more.objects, bucket.quotaObjects) && within(bytes, more.bytes, bucket.quotaBytes);
}

function exceeded({ name, quotaBytes, quotaObjects }: Bucket) {
  const limits = [
    quotaBytes === null ? "" : `${quotaBytes} bytes`,
    quotaObjects === null ? "" : `${quotaObjects} objects`,
  ];
  return refused("quota-exceeded", `bucket ${name} would exceed its quota of ${limits.filter(Boolean).join(" and ")}`);
}
