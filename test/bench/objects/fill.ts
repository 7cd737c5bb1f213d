import { type Measurement, measureLoad } from "./measured-load.js";
import type { ObjectServer } from "./object-server.js";
import type { ObjectRun } from "./run.js";

/** As many as are signed beforehand, in one process of the load generator. */
const CHUNK_KEYS = 50_000;
const CLIENTS = 64;

/** Makes a bucket with so many objects, as Layout `listing` names them; answers how each chunk went. */
export async function fillBucket(
  run: ObjectRun,
  server: ObjectServer,
  bucket: string,
  keys: number,
  sizeBytes: number,
): Promise<Measurement[]> {
  await server.createBucket(bucket);
  const chunks: Measurement[] = [];
  for (let firstKey = 0; firstKey < keys; firstKey += CHUNK_KEYS) {
    const count = Math.min(CHUNK_KEYS, keys - firstKey);
    const chunk = await measureLoad(run, server, {
      operation: "PUT",
      bucket,
      sizeBytes,
      layout: "listing",
      clients: CLIENTS,
      maxSeconds: 600,
      firstKey,
      keys: count,
      compareOneOf: 1,
    });
    if (chunk.nextKey !== firstKey + count || chunk.failures > 0)
      throw new Error(`${server.contender.title}: ${bucket} could not be filled`);
    chunks.push(chunk);
    const speed = Math.round(chunk.opsPerSecond);
    run.progress(`${server.contender.title}: ${firstKey + count} of ${keys} objects, ${speed} a second`);
  }
  return chunks;
}
