import type { Logger } from "pino";
import type { Bucket, BucketChange, BucketUsage, NewBucket } from "../../model/bucket.js";
import type { IdentityStore } from "../identity-store.js";
import type { ObjectEngine } from "../object-engine.js";
import type { Context } from "../types.js";
import { UpstreamClient, type UpstreamSettings } from "./client.js";
import { UpstreamObjects } from "./objects.js";
import { openState, type UpstreamState } from "./state/state.js";
import type { StateChange, Told } from "./state/told.js";

export interface UpstreamEngineOptions {
  readonly settings: UpstreamSettings;
  /** The other processes of this gateway. */
  readonly told: Told;
  readonly log: Logger;
  /** The gateway's first process: it makes the reserved bucket, and proves that the upstream can be relied on. */
  readonly first: boolean;
}

/** An object store on an upstream S3 service, as one of many processes and gateways sees it. */
export interface UpstreamObjectEngine extends ObjectEngine {
  readonly identities: IdentityStore;
  /** Another process of this gateway made the change. When this settles, this one knows. */
  heard(ctx: Context, change: StateChange): Promise<void>;
  /** What the first gateway that came with something of this name came with. */
  agree<T>(ctx: Context, name: string, own: T): Promise<T>;
  /** Does the work unless another gateway is at it. @returns whether it was done */
  alone(ctx: Context, name: string, work: (ctx: Context) => Promise<void>): Promise<boolean>;
}

/**
 * @throws StorageError unavailable while the upstream does not answer; failed-precondition where it refuses the
 * credentials, or has no conditional PUT
 */
export async function openUpstreamEngine(ctx: Context, options: UpstreamEngineOptions): Promise<UpstreamObjectEngine> {
  const client = new UpstreamClient(options.settings);
  try {
    const { told, log, first } = options;
    return new UpstreamEngine(client, await openState(ctx, { client, told, log, first }));
  } catch (error) {
    client.close();
    throw error;
  }
}

/** The objects' half as it is, and the buckets' half beside it. */
class UpstreamEngine extends UpstreamObjects implements UpstreamObjectEngine {
  readonly identities: IdentityStore;
  readonly #state: UpstreamState;

  constructor(client: UpstreamClient, state: UpstreamState) {
    super(client, state);
    this.identities = state.users;
    this.#state = state;
  }

  createBucket(ctx: Context, bucket: NewBucket): Promise<Bucket> {
    return this.#state.buckets.create(ctx, bucket);
  }

  bucket(ctx: Context, name: string): Promise<Bucket | undefined> {
    return this.#state.cache.bucket(ctx, name);
  }

  buckets(
    ctx: Context,
    request: { prefix: string; after: string; limit: number; ownerId?: string },
  ): Promise<Bucket[]> {
    return this.#state.buckets.list(ctx, request);
  }

  changeBucket(ctx: Context, name: string, change: BucketChange, revision?: number): Promise<Bucket> {
    return this.#state.buckets.change(ctx, name, change, revision);
  }

  deleteBucket(ctx: Context, name: string): Promise<void> {
    return this.#state.buckets.delete(ctx, name);
  }

  async usage(ctx: Context, name: string): Promise<BucketUsage> {
    return this.#state.upstream.usage(ctx, await this.#state.known(ctx, name));
  }

  heard(ctx: Context, change: StateChange): Promise<void> {
    return this.#state.heard(ctx, change);
  }

  async agree<T>(ctx: Context, name: string, own: T): Promise<T> {
    const agreed = await this.#state.documents.change(ctx, `gateways/${name}`, ({ text }) => ({
      text: text === "" ? JSON.stringify(own) : text,
      result: text === "" ? own : (JSON.parse(text) as T),
    }));
    return agreed?.result ?? own;
  }

  alone(ctx: Context, name: string, work: (ctx: Context) => Promise<void>): Promise<boolean> {
    return this.#state.lease(name).run(ctx, work);
  }

  override async close(): Promise<void> {
    await this.#state.close();
    await super.close();
  }
}
