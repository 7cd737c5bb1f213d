import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clear, SCENARIOS, type Scenario, type Stage } from "../root/crash-scenarios.js";
import { callsOf } from "../root/csi-requests.js";
import { failureOf, type Sandbox, type TestServer } from "../root/server-harness.js";
import { type ClusterWorld, makeClusterWorld } from "./cluster-world.js";
import type { CephEngine } from "./engines.js";
import type { Place } from "./place.js";

/** A dead controller's lock expires by itself: until then others are told to come again. */
const TAKE_OVER_MS = 90_000;

/**
 * Two controllers on one cluster, with nothing between them but it: one is killed at a step, the other is given the same
 * call, and finishes or undoes what is there. The other has the node service too, with volumes in use.
 */
export function describeCrashes(engine: CephEngine): void {
  const cases = Object.entries(engine.steps).map(([rpc, steps]) => {
    const scenario = SCENARIOS.find((one) => one.rpc === rpc);
    if (!scenario) throw new Error(`crash-scenarios.ts has none for ${rpc}`);
    const step = steps[steps.length >> 1];
    if (step === undefined) throw new Error(`${engine.name} has no step of ${rpc}`);
    return { rpc, step, scenario };
  });

  describe(`a controller of ${engine.name} that dies`, () => {
    let world: ClusterWorld;
    let survivor: TestServer;
    let doomed: Sandbox;
    beforeAll(async () => {
      world = makeClusterWorld();
      doomed = world.anotherSandbox();
      survivor = await world.start();
    });
    afterAll(() => world?.remove());

    it.each(cases)("$rpc, killed at $step: another controller finishes it", async ({ scenario, step }) => {
      const name = `${scenario.rpc}-${step}`.replaceAll(/[^a-z0-9]+/gi, "-").toLowerCase();
      // The first waits until the dead one's lock has expired by itself; to wait each time would show no more.
      await crashOnce(scenario, step, name, scenario === cases[0]?.scenario);
    });

    it("nothing is left on the cluster of all that was made and deleted", async () => {
      await untilEmpty(() => engine.stored(world.place));
    });

    async function crashOnce(scenario: Scenario, step: string, name: string, waits: boolean): Promise<void> {
      const alive = callsOf(survivor.client, world.sandbox, engine.choice);
      const stage: Stage = { csi: alive, name, volumes: [], contexts: [], snapshotId: "", groupId: "" };
      await scenario.prepare(stage);
      const dying = await world.start({ role: "controller", in: doomed, env: { GRANARY_CRASH_AT: step } });
      stage.csi = callsOf(dying.client, world.sandbox, engine.choice);
      try {
        const { code, details } = await failureOf(scenario.act(stage));
        expect([step, code, details]).toEqual([step, expect.stringMatching(/^(UNAVAILABLE|CANCELLED)$/), details]);
        // By a signal, not by itself.
        expect(await dying.ended).toBeNull();
      } finally {
        await dying.kill();
      }
      stage.csi = alive;
      if (!waits) breakLocks(world.place, engine);
      await unlessAborted(() => scenario.act(stage));
      await scenario.check(stage);
      await clear(stage);
    }
  });
}

function breakLocks(place: Place, engine: CephEngine): void {
  const { pool, namespace, prefix } = engine.locks(place);
  const at = ["--pool", pool, "--namespace", namespace];
  const locks = place.rados(...at, "ls").split("\n");
  for (const object of locks.filter((name) => name.startsWith(prefix))) place.rados(...at, "rm", object);
}

/** Repeats a call that another one is in the way of. */
async function unlessAborted(act: () => Promise<unknown>): Promise<void> {
  const endMs = Date.now() + TAKE_OVER_MS;
  for (;;) {
    const failure = await failureOf(act());
    if (failure.code !== "ABORTED" || Date.now() > endMs) {
      expect(failure).toEqual({ code: "OK", details: "" });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** What is removed in the background gets some time. */
export async function untilEmpty(stored: () => string[]): Promise<void> {
  const endMs = Date.now() + TAKE_OVER_MS;
  let left = stored();
  while (left.length > 0 && Date.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    left = stored();
  }
  expect(left).toEqual([]);
}
