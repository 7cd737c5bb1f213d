import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Calls, callsOf, type Made, MIB } from "../../root/csi-requests.js";
import { failureOf, type TestServer } from "../../root/server-harness.js";
import { type ClusterWorld, makeClusterWorld } from "../cluster-world.js";
import { CEPHFS, type CephEngine, RBD } from "../engines.js";
import { type Daemons, daemonsOfOwnCluster } from "./daemons.js";
import { LoggedWriter } from "./logged-writer.js";

const SIZE = { capacity_range: { required_bytes: String(256 * MIB), limit_bytes: "0" } };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

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

/** A mounted volume that a writer writes to without end. */
interface Busy {
  engine: CephEngine;
  csi: Calls;
  volume: Made;
  writer: LoggedWriter;
}

async function busyVolume(engine: CephEngine, name: string): Promise<Busy> {
  const csi = callsOf(server.client, world.sandbox, engine.choice);
  const volume = await csi.create(`${name}-${engine.name}`, SIZE);
  const path = await csi.attach(volume);
  const writer = new LoggedWriter(join(path, "log"));
  await writer.start();
  await writer.more(5);
  return { engine, csi, volume, writer };
}

/** One of each engine: what is killed is killed for both. */
const busyVolumes = (name: string) => Promise.all([RBD, CEPHFS].map((engine) => busyVolume(engine, name)));
const moreOf = (all: readonly Busy[], blocks: number) => Promise.all(all.map(({ writer }) => writer.more(blocks)));

/** Unmounts, mounts again, and finds every block that was acknowledged. */
async function expectNothingLost(all: readonly Busy[]): Promise<void> {
  for (const { csi, volume, writer } of all) {
    await writer.stop();
    await csi.detach(volume.volume_id);
    const path = await csi.attach(volume);
    expect(await writer.lost(join(path, "log"))).toEqual([]);
    await csi.detach(volume.volume_id);
    await csi.remove(volume.volume_id);
  }
}

describe("volumes of RBD and of CephFS under writes", () => {
  it("one of three OSDs is killed: writes go on, and nothing is lost", async () => {
    const busy = await busyVolumes("one-osd");
    daemons.kill("osd.0");
    await moreOf(busy, 20);
    daemons.start("osd.0");
    await moreOf(busy, 20);
    await expectNothingLost(busy);
  });

  it("two of three OSDs are killed: writes wait, none is acknowledged that is not safe, and they go on when one is back", async () => {
    const busy = await busyVolumes("two-osds");
    daemons.kill("osd.0", "osd.1");
    // Long enough for the cluster to know; what was acknowledged by then may have been under way.
    await pause(15_000);
    const acknowledged = () => busy.map(({ writer }) => writer.acknowledged);
    const waiting = acknowledged();
    await pause(5_000);
    expect(acknowledged()).toEqual(waiting);
    expect(busy.map(({ writer }) => writer.failure)).toEqual([undefined, undefined]);
    daemons.start("osd.1");
    await moreOf(busy, 20);
    await expectNothingLost(busy);
  });

  it("the monitor is killed: a call says so by its deadline, what is mounted is written to, and the retry works", async () => {
    const busy = await busyVolumes("monitor");
    daemons.kill("mon.a");
    for (const { engine } of busy) {
      const request = {
        ...{ name: `late-${engine.name}`, ...SIZE, volume_capabilities: [engine.choice.capability] },
        parameters: { ...engine.choice.parameters },
      };
      const { code, details } = await failureOf(server.client.call("Controller", "CreateVolume", request, 12_000));
      expect(code).toMatch(/^(UNAVAILABLE|DEADLINE_EXCEEDED)$/);
      expect(details).not.toBe("");
    }
    await moreOf(busy, 10);
    daemons.start("mon.a");
    await daemons.heal();
    for (const { engine, csi } of busy) {
      const name = `late-${engine.name}`;
      let made = await failureOf(csi.create(name, SIZE));
      // What was cut off may still be held.
      for (let tries = 0; tries < 60 && /^(ABORTED|UNAVAILABLE)$/.test(made.code); tries++) {
        await pause(1000);
        made = await failureOf(csi.create(name, SIZE));
      }
      expect(made).toEqual({ code: "OK", details: "" });
      await csi.remove((await csi.create(name, SIZE)).volume_id);
    }
    await expectNothingLost(busy);
  });

  it("the metadata server is killed and comes back: writes go on, and nothing is lost", async () => {
    const busy = [await busyVolume(CEPHFS, "mds")];
    daemons.kill("mds.a");
    await pause(3_000);
    daemons.start("mds.a");
    await moreOf(busy, 20);
    await expectNothingLost(busy);
  });
});
