import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainRequest, type S3Server, startS3 } from "../s3/harness.js";
import { ObjectClient } from "./objects-client.js";
import { bodyFiles } from "./objects-disk-world.js";
import { makeSandbox, removeSandbox, type Sandbox } from "./server-harness.js";

const MIB = 1024 ** 2;
const inline = randomBytes(3000);
const large = randomBytes(3 * MIB);
const part = randomBytes(5 * MIB);
const SETTLED = { timeout: 20_000 };
const intact = randomBytes(MIB);

let sandbox: Sandbox;
let server: S3Server;
let client: ObjectClient;
let metricsPort: number;

beforeAll(async () => {
  sandbox = makeSandbox(0);
  metricsPort = await freePort();
  await start();
  await client.makeBucket("bucket");
  await client.put("bucket", "intact", intact);
  await client.put("bucket", "inline", inline);
  await client.put("bucket", "large", large);
  const uploadId = await client.createUpload("bucket", "parts");
  const etags = [await client.uploadPart("bucket", "parts", uploadId, 1, part)];
  etags.push(await client.uploadPart("bucket", "parts", uploadId, 2, Buffer.alloc(1000, 1)));
  await client.complete("bucket", "parts", uploadId, etags);
});
afterAll(async () => {
  client.close();
  await server.discard();
  removeSandbox(sandbox);
});

async function start(): Promise<void> {
  const flags = ["--workers", "2", "--metrics-address", `127.0.0.1:${metricsPort}`, "--log-level", "fatal"];
  server = await startS3({ dataDir: join(sandbox.dataDir, "store"), flags });
  client = new ObjectClient(server);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

async function metric(name: string): Promise<number> {
  const { body } = await plainRequest({ endpoint: `http://127.0.0.1:${metricsPort}`, caFile: undefined }, "/metrics");
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(body.toString())?.[1]);
}

const damagedReads = () => metric("granary_s3_damaged_reads_total");

/** Flips one bit of what lies in a file behind these bytes of its own. */
function flipBehind(path: string, bytes: Buffer): boolean {
  const file = readFileSync(path);
  const at = file.indexOf(bytes);
  if (at === -1) return false;
  file[at + bytes.length] = (file[at + bytes.length] as number) ^ 1;
  writeFileSync(path, file);
  return true;
}

function flipInBody(bytes: Buffer): void {
  const flipped = [...bodyFiles(server.dataDir).keys()].filter((path) => flipBehind(path, bytes));
  expect(flipped.length).toBe(1);
}

describe("one bit that flips on the disk", () => {
  it("before it does: no damage, and nothing is counted", async () => {
    const { code, stdout } = server.granary("object", "scrub");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^4 objects, .*: no damage/)]);
    expect(await damagedReads()).toBe(0);
  });

  it("in a large object: GET gives an error or too few bytes, never a wrong one, and it is counted", async () => {
    flipInBody(large.subarray(2 * MIB, 2 * MIB + 64));
    const answer = await client.start({ method: "GET", path: "/bucket/large" });
    const pieces: Buffer[] = [];
    await expect(
      (async () => {
        for await (const piece of answer) pieces.push(piece as Buffer);
      })(),
    ).rejects.toThrow(/aborted/);
    const given = Buffer.concat(pieces);
    expect(given.length).toBeLessThan(large.length);
    expect(given.equals(large.subarray(0, given.length))).toBe(true);
    await expect.poll(damagedReads).toBe(1);
  });

  it("a range of its chunk: 500; one beside it: the bytes", async () => {
    const at = 2 * MIB + 10;
    const damaged = client.get("bucket", "large", { range: `bytes=${at}-${at + 5}` });
    await expect(damaged).rejects.toMatchObject({ status: 500, code: "InternalError" });
    const beside = await client.get("bucket", "large", { range: `bytes=${MIB}-${MIB + 99}` });
    expect(beside?.equals(large.subarray(MIB, MIB + 100))).toBe(true);
  });

  it("in a part: GET of the object fails, of its other part does not", async () => {
    flipInBody(part.subarray(100, 164));
    await expect(client.get("bucket", "parts")).rejects.toMatchObject({ status: 500, code: "InternalError" });
    const answer = await client.call({ method: "GET", path: "/bucket/parts", query: { partNumber: "2" } });
    expect([answer.status, answer.body.equals(Buffer.alloc(1000, 1))]).toEqual([206, true]);
  });

  it("in a small object: 500, and it is counted", async () => {
    client.close();
    await server.remove();
    expect(flipBehind(join(server.dataDir, "objects", "meta", "data.mdb"), inline.subarray(1000, 1064))).toBe(true);
    await start();
    await expect(client.get("bucket", "inline")).rejects.toMatchObject({ status: 500, code: "InternalError" });
    await expect.poll(damagedReads).toBe(1);
  });

  it("scrub: finds each of them by name, and counts them; what is well is served", async () => {
    const before = await damagedReads();
    const { code, stdout } = server.granary("object", "scrub", "-o", "json");
    expect(code).toBe(1);
    const { objects, damaged } = JSON.parse(stdout) as { objects: number; damaged: { key: string; problem: string }[] };
    expect(objects).toBe(4);
    expect(damaged.map(({ key, problem }) => [key, problem])).toEqual([
      ["inline", expect.stringMatching(/stored bytes are not those that were written/)],
      ["large", expect.stringMatching(/chunk 32 is not what was written/)],
      ["parts", expect.stringMatching(/chunk 0 is not what was written/)],
    ]);
    expect(await damagedReads()).toBe(before + 3);
    expect((await client.get("bucket", "intact"))?.equals(intact)).toBe(true);
    expect((await client.get("bucket", "intact"))?.equals(intact)).toBe(true);
  });

  it("damaged objects can be replaced and removed; then there is no damage any more", async () => {
    await client.put("bucket", "large", large);
    await client.put("bucket", "inline", inline);
    await client.remove("bucket", "parts");
    expect((await client.get("bucket", "large"))?.equals(large)).toBe(true);
    const { code, stdout } = server.granary("object", "scrub");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/: no damage/)]);
  });
});

describe("a file that cannot be removed", () => {
  it("it alone stays when objects are deleted, and is counted until it goes", async () => {
    const before = new Set(bodyFiles(server.dataDir).keys());
    await client.put("bucket", "stuck", large);
    const [path = ""] = [...bodyFiles(server.dataDir).keys()].filter((file) => !before.has(file));
    await client.put("bucket", "other", large);
    // As unlink() fails on a disk with EIO: on a folder it always does.
    rmSync(path);
    mkdirSync(path);
    await client.remove("bucket", "stuck");
    await client.remove("bucket", "other");
    const left = () => [...bodyFiles(server.dataDir).keys()].filter((file) => !before.has(file)).length;
    await expect.poll(async () => [left(), await metric("granary_s3_unremoved_files")], SETTLED).toEqual([0, 1]);
    rmdirSync(path);
    await expect.poll(() => metric("granary_s3_unremoved_files"), SETTLED).toBe(0);
  });
});
