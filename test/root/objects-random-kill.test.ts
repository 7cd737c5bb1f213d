import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkObjectStore } from "../../src/engines/local/objects/doctor.js";
import { granary, type S3Server, startS3 } from "../s3/harness.js";
import { ObjectClient } from "./objects-client.js";
import { bodyFiles, workersOf } from "./objects-disk-world.js";
import { Ledger, startLoad } from "./objects-ledger.js";
import { makeSandbox, removeSandbox, type Sandbox } from "./server-harness.js";

const BUCKET = "bucket";
const ROUNDS = 5;
const SETTLED_MS = 20_000;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let sandbox: Sandbox;
let server: S3Server;
let client: ObjectClient;
const ledger = new Ledger();

beforeAll(async () => {
  sandbox = makeSandbox(0);
  await start();
  await client.makeBucket(BUCKET);
});
afterAll(async () => {
  client.close();
  await server.discard();
  removeSandbox(sandbox);
});

/** `port`: where both workers are gone for a moment, port 0 would be another one after it. */
async function start(port = 0): Promise<void> {
  const flags = ["--workers", "2", "--log-level", "warn", "--s3-listen", `127.0.0.1:${port}`];
  server = await startS3({ dataDir: join(sandbox.dataDir, "store"), flags });
  client = new ObjectClient(server);
}

async function killed(): Promise<void> {
  await server.discard();
  client.close();
}

/** Usages and references are what they are counted anew, and every file is some metadata's. */
async function expectHealthy(): Promise<void> {
  const look = async () => {
    const report = await checkObjectStore(join(server.dataDir, "objects"));
    return { findings: report?.findings, left: bodyFiles(server.dataDir).size - (report?.bodies ?? 0) };
  };
  await expect.poll(look, { timeout: SETTLED_MS, interval: 200 }).toEqual({ findings: [], left: 0 });
}

describe("SIGKILL at random under load", () => {
  it.each(Array.from({ length: ROUNDS }, (_, i) => i))(
    "round %i: a worker, then the whole server: every acknowledged object is there, and nothing else",
    async (round) => {
      const stop = startLoad(client, ledger, BUCKET, `round-${round}`);
      await pause(500 + Math.random() * 1000);
      process.kill(workersOf(server)[round % 2] as number, "SIGKILL");
      await pause(500 + Math.random() * 1000);
      const dying = killed();
      await stop();
      await dying;
      await start();
      await ledger.verify(client, BUCKET);
      await expectHealthy();
      expect(ledger.acknowledged).toBeGreaterThan(0);
    },
  );

  it("a worker alone: the server goes on, and clears up after it", async () => {
    const { port } = server;
    await killed();
    await start(port);
    const stop = startLoad(client, ledger, BUCKET, "worker");
    for (let i = 0; i < 2; i++) {
      await pause(600);
      process.kill(workersOf(server)[0] as number, "SIGKILL");
      await expect.poll(() => workersOf(server).length, { timeout: SETTLED_MS }).toBe(2);
    }
    await stop();
    const served = () => client.call({ method: "HEAD", path: `/${BUCKET}` }).then(({ status }) => status, String);
    await expect.poll(served, { timeout: SETTLED_MS }).toBe(200);
    await ledger.verify(client, BUCKET);
    await expectHealthy();
  });

  it("granary doctor and granary object scrub: no problem", () => {
    const doctor = granary(["doctor", "--data-dir", server.dataDir]);
    expect([doctor.code, doctor.stdout]).toEqual([0, expect.stringMatching(/^no problem found/)]);
    const scrub = server.granary("object", "scrub");
    expect([scrub.code, scrub.stdout + scrub.stderr]).toEqual([0, expect.stringMatching(/no damage/)]);
  });
});
