import { existsSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkParallelCalls } from "../root/concurrency-suite.js";
import { callsOf } from "../root/csi-requests.js";
import { hangingTool, processesWith, until } from "../root/hanging-tool.js";
import { failureOf } from "../root/server-harness.js";
import { type ClusterWorld, makeClusterWorld } from "./cluster-world.js";
import { untilEmpty } from "./crash-suite.js";
import { CEPHFS, type CephEngine, RBD } from "./engines.js";

let world: ClusterWorld;
beforeEach(() => {
  world = makeClusterWorld();
});
afterEach(() => world?.remove());

describe.each([RBD, CEPHFS])("parallel calls on $name", (engine: CephEngine) => {
  it("rule 37: mixed over same and different names: one volume a name, OK or ABORTED, no lock left", async () => {
    const server = await world.start();
    const csi = callsOf(server.client, world.sandbox, engine.choice);
    // Each call starts some of Ceph's tools: fewer than on the local engine show the same.
    await checkParallelCalls({ server, csi, names: 2, calls: 16, alsoAborted: /./ });
    for (const { snapshot } of (await csi.listSnapshots()).entries ?? [])
      await csi.removeSnapshot(snapshot?.snapshot_id ?? "");
    await untilEmpty(() => engine.stored(world.place));
  }, 400_000);
});

describe.each([
  { engine: RBD, name: "rbd" },
  { engine: CEPHFS, name: "ceph" },
])("$name hangs", ({ engine, name }) => {
  it("CreateVolume ends with its deadline, leaves no process and no lock, and its retry gets the one volume", async () => {
    const { env, hang, begun, marker } = hangingTool(world.sandbox.dir, name);
    rmSync(hang);
    const server = await world.start({ env });
    const csi = callsOf(server.client, world.sandbox, engine.choice);
    // What is asked once is known from here on.
    await csi.remove((await csi.create("first")).volume_id);
    writeFileSync(hang, "");
    const request = {
      ...{ name: "hung", capacity_range: { required_bytes: String(32 * 1024 ** 2), limit_bytes: "0" } },
      ...{ volume_capabilities: [engine.choice.capability], parameters: { ...engine.choice.parameters } },
    };
    const failure = await failureOf(server.client.call("Controller", "CreateVolume", request, 5_000));
    expect(failure.code).toBe("DEADLINE_EXCEEDED");
    expect(existsSync(begun)).toBe(true);
    await until(() => processesWith(marker).length === 0);
    rmSync(hang);
    let answer = await failureOf(csi.create("hung"));
    while (answer.code === "ABORTED") answer = await failureOf(csi.create("hung"));
    expect(answer).toEqual({ code: "OK", details: "" });
    expect((await csi.list()).entries).toHaveLength(1);
  }, 300_000);
});
