import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { refused, StorageError } from "../../../errors/storage-error.js";
import type { Bucket } from "../../../model/bucket.js";
import type { Context } from "../../types.js";
import { type BucketBook, reservedBucket } from "../bucket-book.js";
import type { UpstreamClient } from "../client.js";
import { BucketCache } from "./bucket-cache.js";
import { Buckets } from "./buckets.js";
import { Documents } from "./documents.js";
import { SharedLease } from "./lease.js";
import { Quotas } from "./quota.js";
import { proveSwap } from "./swap-proof.js";
import type { StateChange, Told } from "./told.js";
import { UpstreamBuckets } from "./upstream-buckets.js";
import { UpstreamUsers } from "./users.js";

/** Everything of a store on an upstream that is not the objects: what many gateways share, in the reserved bucket. */
export interface UpstreamState extends BucketBook {
  readonly documents: Documents;
  readonly cache: BucketCache;
  readonly buckets: Buckets;
  readonly upstream: UpstreamBuckets;
  readonly users: UpstreamUsers;
  /** Work that one of many gateways does at a time. */
  lease(name: string): SharedLease;
  /** Another process of this gateway made the change. When this settles, this one knows. */
  heard(ctx: Context, change: StateChange): Promise<void>;
  close(): Promise<void>;
}

export interface StateOptions {
  readonly client: UpstreamClient;
  readonly told: Told;
  readonly log: Logger;
  /** The first process of a gateway makes the reserved bucket, and proves that the upstream can be relied on. */
  readonly first: boolean;
}

const PAGE = 1000;

async function* namesOf(buckets: Buckets, ctx: Context): AsyncGenerator<string, void, undefined> {
  for (let after: string | undefined = ""; after !== undefined; ) {
    const page = await buckets.list(ctx, { prefix: "", after, limit: PAGE });
    for (const { name } of page) yield name;
    after = page.length < PAGE ? undefined : page.at(-1)?.name;
  }
}

/** @throws StorageError unavailable; failed-precondition where the upstream does not do what all this rests on */
export async function openState(ctx: Context, { client, told, log, first }: StateOptions): Promise<UpstreamState> {
  const { prefix } = client.settings;
  const documents = new Documents(client, reservedBucket(prefix));
  const upstream = new UpstreamBuckets(client, prefix);
  if (first) {
    await upstream.make(ctx, documents.bucket).catch((error: unknown) => {
      if (!(error instanceof StorageError) || error.reason !== "bucket-exists") throw error;
      throw new StorageError(
        "failed-precondition",
        `the upstream bucket ${documents.bucket} is another user's; choose another prefix (s3Upstream.prefix)`,
      );
    });
    await proveSwap(ctx, documents);
  }
  const cache = new BucketCache(documents);
  const buckets = new Buckets({ documents, cache, upstream, told });
  const quotas = new Quotas(upstream);
  const users = await UpstreamUsers.open(ctx, {
    ...{ documents, told, background: { requestId: randomUUID(), log } },
    ownedBucket: async (asking, ownerId) =>
      (await buckets.list(asking, { prefix: "", after: "", limit: 1, ownerId }))[0]?.name,
  });
  return {
    ...{ documents, cache, buckets, upstream, users },
    known: async (asking: Context, name: string): Promise<Bucket> => {
      const bucket = await cache.bucket(asking, name);
      if (bucket) return bucket;
      throw refused("no-such-bucket", `bucket ${JSON.stringify(name)} is not there`);
    },
    checkQuota: (asking, bucket, more) => quotas.check(asking, bucket, more),
    names: (asking) => namesOf(buckets, asking),
    lease: (name) => new SharedLease(documents, name),
    heard: async (asking, change) => {
      if (change.kind === "users") await users.fresh(asking);
      else cache.forget(change.name);
    },
    close: () => users.close(),
  };
}
