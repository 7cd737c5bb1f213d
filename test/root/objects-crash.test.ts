import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkObjectStore } from "../../src/engines/local/objects/doctor.js";
import { OBJECT_STEPS } from "../../src/runtime/steps.js";
import { type S3Server, startS3 } from "../s3/harness.js";
import { ObjectClient, Refused } from "./objects-client.js";
import { contentOf, LARGE, type ObjectStep, SCENARIOS, type Scenario, type Stage } from "./objects-crash-scenarios.js";
import { bodyFiles, workersOf } from "./objects-disk-world.js";
import { makeSandbox, removeSandbox, type Sandbox } from "./server-harness.js";

const BUCKET = "crash";
const SETTLED_MS = 15_000;

let sandbox: Sandbox;
let server: S3Server;
let client: ObjectClient;
const taken = new Set<string>();
let names = 0;

beforeAll(async () => {
  sandbox = makeSandbox(0);
  await start();
  await client.makeBucket(BUCKET);
  await client.put(BUCKET, "bystander", Buffer.alloc(LARGE, 9));
});
afterAll(async () => {
  client.close();
  await server.discard();
  removeSandbox(sandbox);
});

/** After a test that failed, another server. */
beforeEach(async () => {
  if ((await Promise.race([server.ended, "runs"])) === "runs") return;
  await end();
  await start();
});

async function start(crashAt = ""): Promise<void> {
  const env = crashAt === "" ? {} : { GRANARY_CRASH_AT: crashAt };
  const flags = ["--workers", "2", "--log-level", "warn"];
  server = await startS3({ dataDir: join(sandbox.dataDir, "store"), flags, env });
  client = new ObjectClient(server);
}

async function end(): Promise<void> {
  client.close();
  await server.discard();
}

/** Metadata and files agree, nothing is left over, and nobody else's object was touched. */
async function expectHealthy(stage: Stage): Promise<void> {
  const look = async () => {
    const report = await checkObjectStore(join(server.dataDir, "objects"));
    return { findings: report?.findings, left: bodyFiles(server.dataDir).size - (report?.bodies ?? 0) };
  };
  await expect.poll(look, { timeout: SETTLED_MS, interval: 100 }).toEqual({ findings: [], left: 0 });
  expect(await contentOf(stage, "bystander")).toBe(`${LARGE}x9`);
}

/** A worker whose writer is gone may still say so: nothing that a client could take for done. */
function expectUnanswered(outcome: unknown): void {
  if (outcome instanceof Refused) expect(outcome.status).toBe(503);
  else expect(outcome).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
}

/** A worker that ends leaves the server; when the supervisor ends, all do. */
async function crashed(step: ObjectStep, workers: readonly number[]): Promise<void> {
  const inWorker = !/^object-(writer|garbage|sweep)\//.test(step);
  if (!inWorker) expect(await server.ended).toBeNull();
  else
    await expect
      .poll(() => workers.every((pid) => workersOf(server).includes(pid)), { timeout: SETTLED_MS })
      .toBe(false);
}

async function crashOnce(scenario: Scenario, step: ObjectStep): Promise<void> {
  const stage: Stage = { client, bucket: BUCKET, key: `key-${names++}`, uploadId: "", etags: [] };
  await scenario.prepare(stage);
  await end();
  await start(step);
  stage.client = client;
  const workers = workersOf(server);
  const acting = scenario.act(stage);
  if (scenario.answered) await acting;
  else expectUnanswered(await acting.catch((error: unknown) => error));
  await crashed(step, workers);
  taken.add(step);
  if (step.startsWith("object-writer/")) expect(await server.ended).toBeNull();
  else if ((await Promise.race([server.ended, "runs"])) === "runs") {
    // The server goes on without the worker, and clears up after it.
    expect(await scenario.probe(stage)).toMatch(/^(before|after)$/);
    await expectHealthy(stage);
  }
  await end();
  await start();
  stage.client = client;
  expect(await scenario.probe(stage)).toMatch(/^(before|after)$/);
  await expectHealthy(stage);
  await scenario.act(stage).catch((error: unknown) => {
    if (!(error instanceof Refused && scenario.doneAlready?.includes(error.code))) throw error;
  });
  expect(await scenario.probe(stage)).toBe("after");
  await expectHealthy(stage);
}

describe.each(SCENARIOS)("$request", (scenario) => {
  it.each(scenario.steps)("killed at %s: whole or not at all, nothing is left over, and repeated it succeeds", (step) =>
    crashOnce(scenario, step),
  );
});

describe("a worker that is killed", () => {
  it.each([
    "object-writer/beginSweep-applied",
    "object-writer/beginSweep-committed",
    "object-sweep/removed",
    "object-writer/seal-applied",
    "object-writer/seal-committed",
  ] as const)("the server too, at %s: what was acknowledged is there, what was not leaves nothing", async (step) => {
    const stage: Stage = { client, bucket: BUCKET, key: `key-${names++}`, uploadId: "", etags: [] };
    await end();
    await start(step);
    stage.client = client;
    await client.put(BUCKET, stage.key, Buffer.alloc(LARGE, 1));
    // Half a body in each worker.
    const halves = Array.from({ length: 8 }, () =>
      client.call({ method: "PUT", path: `/${BUCKET}/${stage.key}`, body: half(), lengthBytes: 2 * LARGE }),
    );
    await expect.poll(() => bodyFiles(server.dataDir).size).toBeGreaterThan(2);
    for (const pid of workersOf(server)) process.kill(pid, "SIGKILL");
    for (const outcome of await Promise.allSettled(halves)) expect(outcome.status).toBe("rejected");
    expect(await server.ended).toBeNull();
    taken.add(step);
    await end();
    await start();
    stage.client = client;
    expect(await contentOf(stage, stage.key)).toBe(`${LARGE}x1`);
    await expectHealthy(stage);
  });

  async function* half() {
    yield Buffer.alloc(LARGE, 2);
    await new Promise(() => undefined);
  }
});

describe("all steps", () => {
  it("every named step was crashed at", () => {
    expect(OBJECT_STEPS.filter((step) => !taken.has(step))).toEqual([]);
  });
});
