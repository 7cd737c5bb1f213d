import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { UpstreamClient, type UpstreamSettings } from "../../src/engines/s3/client.js";
import { openState, type UpstreamState } from "../../src/engines/s3/state/state.js";
import { NOBODY_ELSE } from "../../src/engines/s3/state/told.js";
import type { Context } from "../../src/engines/types.js";
import type { NewBucket } from "../../src/model/bucket.js";
import { clusterEnv } from "./cluster-env.js";

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
    const { endpoint, region, accessKey, secretKey } = clusterEnv().rgw;
    this.settings = { endpoint, region, accessKey, secretKey, prefix };
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

const within = (text: string, name: string) =>
  [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map(([, found = ""]) => found);
const unescaped = (text: string) => decodeURIComponent(text.replace(/\+/g, " "));

async function textOf(client: UpstreamClient, request: Parameters<UpstreamClient["send"]>[1]): Promise<string> {
  const { body } = await client.send(asking(), request);
  let text = "";
  for await (const chunk of body as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}

/** Every bucket of the client's prefix, with versions and uploads. */
export async function removeBuckets(client: UpstreamClient): Promise<void> {
  const names = within(await textOf(client, { method: "GET" }), "Name");
  for (const bucket of names.filter((name) => name.startsWith(client.settings.prefix)))
    await removeBucket(client, bucket);
}

async function removeBucket(client: UpstreamClient, bucket: string): Promise<void> {
  for (let more = true; more; ) {
    const query = { versions: "", "encoding-type": "url" };
    const page = await textOf(client, { method: "GET", bucket, query });
    const keys = within(page, "Key");
    const ids = within(page, "VersionId");
    more = keys.length > 0;
    await Promise.all(
      keys.map((key, i) =>
        client.run(asking(), { method: "DELETE", bucket, key: unescaped(key), query: { versionId: ids[i] } }, 204, 404),
      ),
    );
  }
  const uploads = await textOf(client, { method: "GET", bucket, query: { uploads: "", "encoding-type": "url" } });
  const ids = within(uploads, "UploadId");
  for (const [i, key] of within(uploads, "Key").entries())
    await client.run(
      asking(),
      { method: "DELETE", bucket, key: unescaped(key), query: { uploadId: ids[i] } },
      204,
      404,
    );
  await client.run(asking(), { method: "DELETE", bucket }, 204, 404);
}
