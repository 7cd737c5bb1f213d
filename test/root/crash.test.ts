import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { STEPS } from "../../src/runtime/steps.js";
import { clear, SCENARIOS, type Scenario, type Stage } from "./crash-scenarios.js";
import { callsOf } from "./csi-requests.js";
import {
  failureOf,
  granary,
  loopsUnder,
  makeSandbox,
  mountsUnder,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

let sandbox: Sandbox;
let server: TestServer;

beforeAll(() => {
  sandbox = makeSandbox();
});
afterEach(async () => {
  await server?.stop();
});
afterAll(() => {
  removeSandbox(sandbox);
});

const KEPT_STEPS = new Set<string>();
const CASES = SCENARIOS.flatMap((scenario) => scenario.steps.map((step) => ({ rpc: scenario.rpc, step, scenario })));

async function restart(stage: Stage | undefined, crashAt = ""): Promise<void> {
  server = await startServer(sandbox, { env: crashAt === "" ? {} : { GRANARY_CRASH_AT: crashAt } });
  if (stage) stage.csi = callsOf(server.client, sandbox);
}

/** Nothing at all to report: no orphan, no mismatch, no intent that is still open. */
function expectHealthy(): void {
  const { code, stdout } = granary(["doctor", "--data-dir", sandbox.dataDir]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^no problem found/) as string]);
}

async function crashOnce(scenario: Scenario, step: string, name: string): Promise<void> {
  await restart(undefined);
  const stage: Stage = {
    csi: callsOf(server.client, sandbox),
    name,
    volumes: [],
    contexts: [],
    snapshotId: "",
    groupId: "",
  };
  await scenario.prepare(stage);
  await server.stop();
  await restart(stage, step);
  const { code } = await failureOf(scenario.act(stage));
  expect(["UNAVAILABLE", "CANCELLED"]).toContain(code);
  // By a signal, not by itself.
  expect(await server.ended).toBeNull();
  KEPT_STEPS.add(step);
  await restart(stage);
  expectHealthy();
  await scenario.act(stage);
  await scenario.check(stage);
  expectHealthy();
  await clear(stage);
  expectHealthy();
  await server.stop();
}

describe.each(CASES)("$rpc, killed at $step", ({ scenario, step }) => {
  it("restarts clean, the repeated call succeeds, nothing acknowledged is lost or doubled", async () => {
    await crashOnce(scenario, step, `${scenario.rpc}-${step}`.replaceAll(/[^a-z0-9]+/gi, "-").toLowerCase());
  });
});

describe("all steps", () => {
  it("every named step was crashed at", () => {
    const crashed = new Set(CASES.map(({ step }) => step));
    expect(STEPS.filter((step) => !crashed.has(step))).toEqual([]);
    expect([...KEPT_STEPS].sort()).toEqual([...STEPS].sort());
  });

  it("nothing stays mounted or attached but the pool", () => {
    expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir]);
    expect(loopsUnder(sandbox.dataDir)).toEqual([]);
  });
});
