import { setMaxListeners } from "node:events";
import { pino } from "pino";
import type { UpstreamClient, UpstreamSettings } from "../../src/engines/s3/client.js";
import { clusterEnv } from "./cluster-env.js";

const signal = new AbortController().signal;
// Many requests share it.
setMaxListeners(0, signal);
const asking = { signal, requestId: "test", log: pino({ level: "silent" }) };

/** The cluster's RGW, with a prefix of a test's own. */
export function upstreamSettings(prefix: string): UpstreamSettings {
  const { endpoint, region, accessKey, secretKey } = clusterEnv().rgw;
  return { endpoint, region, accessKey, secretKey, prefix };
}

const within = (text: string, name: string) =>
  [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map(([, found = ""]) => found);
const unescaped = (text: string) => decodeURIComponent(text.replace(/\+/g, " "));

async function textOf(client: UpstreamClient, request: Parameters<UpstreamClient["send"]>[1]): Promise<string> {
  const { body } = await client.send(asking, request);
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
        client.run(asking, { method: "DELETE", bucket, key: unescaped(key), query: { versionId: ids[i] } }, 204, 404),
      ),
    );
  }
  const uploads = await textOf(client, { method: "GET", bucket, query: { uploads: "", "encoding-type": "url" } });
  const ids = within(uploads, "UploadId");
  for (const [i, key] of within(uploads, "Key").entries())
    await client.run(asking, { method: "DELETE", bucket, key: unescaped(key), query: { uploadId: ids[i] } }, 204, 404);
  await client.run(asking, { method: "DELETE", bucket }, 204, 404);
}
