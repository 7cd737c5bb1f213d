import { randomBytes } from "node:crypto";
import { statfsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "../s3/harness.js";
import { ObjectClient } from "./objects-client.js";
import { bodyFiles, peakBytes, workersOf } from "./objects-disk-world.js";

const MIB = 1024 ** 2;
const MOST_RESIDENT = 512 * MIB;
const STREAMS = 64;
// What a stream holds does not grow with it. 1 GiB each takes 65 GiB of disk and some minutes: `.ci/run` has it.
const SIZE = Number(process.env.GRANARY_TEST_BODY_MIB ?? 32) * MIB;
const TIMEOUT_MS = 120_000 + (SIZE / MIB) * 2000;

const block = randomBytes(MIB);
let server: S3Server;
let client: ObjectClient;

beforeAll(async () => {
  // All of it through one worker: the most that one can come to.
  server = await startS3({ flags: ["--workers", "1"] });
  client = new ObjectClient(server, 2 * STREAMS);
  await client.makeBucket("bucket");
});
afterAll(async () => {
  client.close();
  await server.remove();
});

async function* body() {
  for (let at = 0; at < SIZE; at += MIB) yield block;
}

async function upload(key: string): Promise<void> {
  const answer = await client.call({ method: "PUT", path: `/bucket/${key}`, body: body(), lengthBytes: SIZE });
  expect(answer.status).toBe(200);
}

/** Compares each byte as it comes. */
async function download(key: string): Promise<number> {
  const answer = await client.start({ method: "GET", path: `/bucket/${key}` });
  expect(answer.statusCode).toBe(200);
  let got = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    for (let at = 0; at < piece.length; ) {
      const from = (got + at) % MIB;
      const take = Math.min(MIB - from, piece.length - at);
      if (block.compare(piece, at, at + take, from, from + take) !== 0) throw new Error(`wrong bytes at ${got + at}`);
      at += take;
    }
    got += piece.length;
  }
  return got;
}

describe(`64 uploads and 64 downloads of ${SIZE / MIB} MiB at once`, () => {
  it(
    "one worker: every byte is right, and it never has 512 MiB resident",
    async () => {
      const { bavail, bsize } = statfsSync(server.dataDir);
      expect(bavail * bsize, "bytes of disk").toBeGreaterThan((STREAMS + 1) * SIZE);
      await upload("source");
      const [worker] = workersOf(server);
      const all = await Promise.all([
        ...Array.from({ length: STREAMS }, (_, i) => upload(`upload-${i}`).then(() => SIZE)),
        ...Array.from({ length: STREAMS }, () => download("source")),
      ]);
      expect(all).toEqual(Array.from({ length: 2 * STREAMS }, () => SIZE));
      expect(await download("upload-7")).toBe(SIZE);
      expect(workersOf(server)).toEqual([worker]);
      const peak = peakBytes(worker as number);
      console.log(`most resident of the worker: ${Math.round(peak / MIB)} MiB`);
      expect(peak).toBeLessThan(MOST_RESIDENT);
    },
    TIMEOUT_MS,
  );

  it("all of it deleted: the space is given back while the server runs", async () => {
    expect(bodyFiles(server.dataDir).size).toBe(STREAMS + 1);
    for (const key of (await client.list("bucket")).keys()) await client.remove("bucket", key);
    await expect.poll(() => bodyFiles(server.dataDir).size, { timeout: 20_000, interval: 100 }).toBe(0);
  });
});
