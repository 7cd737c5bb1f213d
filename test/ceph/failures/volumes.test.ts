import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Calls, callsOf, MIB } from "../../root/csi-requests.js";
import { failureOf, type TestServer } from "../../root/server-harness.js";
import { type ClusterWorld, makeClusterWorld } from "../cluster-world.js";
import { CEPHFS, type CephEngine, RBD } from "../engines.js";
import { type Daemons, daemonsOfOwnCluster } from "./daemons.js";
import { LoggedWriter } from "./logged-writer.js";

let daemons: Daemons;
let world: ClusterWorld;
let server: TestServer;
beforeAll(async () => {
  daemons = daemonsOfOwnCluster();
  world = makeClusterWorld();
  server = await world.start();
});
afterEach(() => daemons.heal());
afterAll(() => world?.remove());

const SIZE = { capacity_range: { required_bytes: String(256 * MIB), limit_bytes: "0" } };

/** A mounted volume that a writer writes to without end. */
async function busyVolume(csi: Calls, name: string) {
  const volume = await csi.create(name, SIZE);
  const path = await csi.attach(volume);
  const writer = new LoggedWriter(join(path, "log"));
  await writer.start();
  await writer.more(5);
  return { volume, writer };
}

/** Unmounts, mounts again, and finds every block that was acknowledged. */
async function expectNothingLost(csi: Calls, { volume, writer }: Awaited<ReturnType<typeof busyVolume>>) {
  await writer.stop();
  await csi.detach(volume.volume_id);
  const path = await csi.attach(volume);
  expect(await writer.lost(join(path, "log"))).toEqual([]);
  await csi.detach(volume.volume_id);
  await csi.remove(volume.volume_id);
}

describe.each([RBD, CEPHFS])("a volume of $name under writes", (engine: CephEngine) => {
  const calls = () => callsOf(server.client, world.sandbox, engine.choice);

  it("one of three OSDs is killed: writes go on, and nothing is lost", async () => {
    const csi = calls();
    const busy = await busyVolume(csi, "one-osd");
    daemons.kill("osd.0");
    await busy.writer.more(20);
    daemons.start("osd.0");
    await busy.writer.more(20);
    await expectNothingLost(csi, busy);
  });

  it("two of three OSDs are killed: writes wait, none is acknowledged that is not safe, and they go on when one is back", async () => {
    const csi = calls();
    const busy = await busyVolume(csi, "two-osds");
    daemons.kill("osd.0", "osd.1");
    // Long enough for the cluster to know; what was acknowledged by then may have been under way.
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    const waiting = busy.writer.acknowledged;
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(busy.writer.acknowledged).toBe(waiting);
    expect(busy.writer.failure).toBeUndefined();
    daemons.start("osd.1");
    await busy.writer.more(20);
    await expectNothingLost(csi, busy);
  });

  it("the monitor is killed: a call says so by its deadline, what is mounted is written to, and the retry works", async () => {
    const csi = calls();
    const busy = await busyVolume(csi, "monitor");
    daemons.kill("mon.a");
    const request = {
      ...{ name: "while-down", capacity_range: SIZE.capacity_range, volume_capabilities: [engine.choice.capability] },
      parameters: { ...engine.choice.parameters },
    };
    const { code, details } = await failureOf(server.client.call("Controller", "CreateVolume", request, 12_000));
    expect([code, details]).toEqual([
      expect.stringMatching(/^(UNAVAILABLE|DEADLINE_EXCEEDED)$/),
      expect.stringMatching(/./),
    ]);
    await busy.writer.more(10);
    daemons.start("mon.a");
    await daemons.heal();
    let made = await failureOf(csi.create("while-down", SIZE));
    for (let tries = 0; tries < 60 && (made.code === "ABORTED" || made.code === "UNAVAILABLE"); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      made = await failureOf(csi.create("while-down", SIZE));
    }
    expect(made).toEqual({ code: "OK", details: "" });
    await csi.remove((await csi.create("while-down", SIZE)).volume_id);
    await expectNothingLost(csi, busy);
  });
});

describe("a volume of CephFS under writes", () => {
  it("the metadata server is killed and comes back: writes go on, and nothing is lost", async () => {
    const csi = callsOf(server.client, world.sandbox, CEPHFS.choice);
    const busy = await busyVolume(csi, "mds");
    daemons.kill("mds.a");
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    daemons.start("mds.a");
    await busy.writer.more(20);
    await expectNothingLost(csi, busy);
  });
});
