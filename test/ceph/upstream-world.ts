import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { UpstreamClient, type UpstreamSettings } from "../../src/engines/s3/client.js";
import { openState, type UpstreamState } from "../../src/engines/s3/state/state.js";
import { NOBODY_ELSE } from "../../src/engines/s3/state/told.js";
import type { Context } from "../../src/engines/types.js";
import type { NewBucket } from "../../src/model/bucket.js";
import { removeBuckets, upstreamSettings } from "./upstream-leftovers.js";

const log = pino({ level: "silent" });

export const asking = (ms = 120_000): Context => ({ signal: AbortSignal.timeout(ms), requestId: "test", log });

export const newBucket = (name: string, more: Partial<NewBucket> = {}): NewBucket => ({
  ...{ name, ownerId: "root", region: "us-east-1", objectLock: false, durability: "strict" },
  ...{ quotaBytes: null, quotaObjects: null, config: {} },
  ...more,
});

/** An upstream of a test's own: a prefix on the cluster's RGW, taken away with all that is in it. */
export class UpstreamWorld {
  readonly settings: UpstreamSettings;
  readonly client: UpstreamClient;
  readonly #states: UpstreamState[] = [];

  constructor(prefix = `upstate-${randomBytes(4).toString("hex")}-`) {
    this.settings = upstreamSettings(prefix);
    this.client = new UpstreamClient(this.settings);
  }

  /** The state as one more gateway has it. */
  async gateway(first = false): Promise<UpstreamState> {
    const client = new UpstreamClient(this.settings);
    const state = await openState(asking(), { client, told: NOBODY_ELSE, log, first });
    this.#states.push(state);
    return state;
  }

  async put(bucket: string, key: string, body: Buffer): Promise<void> {
    await this.client.run(asking(), { method: "PUT", bucket: this.settings.prefix + bucket, key, body }, 200);
  }

  async remove(): Promise<void> {
    for (const state of this.#states) await state.close();
    await removeBuckets(this.client);
    this.client.close();
  }
}
