import { bytes, fromSnapshot, fromVolume, MIB, mount } from "../../root/csi-requests.js";
import type { Report, Row } from "../report.js";
import { RpcTimes } from "../rpc-times.js";
import { percentile } from "../statistics.js";
import { type Trip, travel } from "../trip.js";
import type { Run } from "../world.js";
import { CEPHFS_CLASS, type CephWorld, RBD_CLASS, withCephWorld } from "./ceph-run.js";

const SHARED = mount("MULTI_NODE_MULTI_WRITER", { fs_type: "" });
const ENGINES = [
  { name: "RBD", parameters: RBD_CLASS, capability: mount() },
  { name: "CephFS", parameters: CEPHFS_CLASS, capability: SHARED },
] as const;
type Engine = (typeof ENGINES)[number];

/** From a claim to a mounted pod folder and back, and each RPC by itself, on both engines. */
export async function benchCephLifecycle(run: Run): Promise<Report> {
  const [rounds, warmUp] = run.quick ? [2, 1] : [20, 2];
  return withCephWorld(run, async (world) => {
    const rows: Row[] = [];
    const measurements: Record<string, readonly number[]> = {};
    const sections = [];
    for (const engine of ENGINES) {
      const times = new RpcTimes();
      const trips: Trip[] = [];
      for (let round = -warmUp; round < rounds; round++) {
        run.signal.throwIfAborted();
        run.progress(`lifecycle: ${engine.name}, round ${Math.max(round, 0) + 1} of ${rounds}`);
        if (round === 0) times.forget();
        const trip = await travel(world.calls, times, `trip-${engine.name}-${round + warmUp}`, engine);
        if (round >= 0) trips.push(trip);
      }
      await otherRpcs(run, world, times, engine, run.quick ? 1 : 10);
      for (const [way, pick] of [
        ["create to mounted", (trip: Trip) => trip.upMs],
        ["unmounted and deleted", (trip: Trip) => trip.downMs],
      ] as const) {
        const ms = trips.map(pick);
        measurements[`${engine.name}: ${way}, ms`] = ms;
        rows.push({ name: `${engine.name}: ${way}`, cells: [percentile(ms, 50), percentile(ms, 99)] });
      }
      for (const [rpc, values] of Object.entries(times.measurements())) measurements[`${engine.name}: ${rpc}`] = values;
      sections.push(times.section(`${engine.name}: every RPC, as the client sees it`, []));
    }
    const title = `Life of a volume of 1 GiB: create, publish, stage, publish, and back (${rounds} rounds after ${warmUp})`;
    return {
      ...{ benchmark: "lifecycle", measurements },
      sections: [{ title, columns: ["p50 ms", "p99 ms"], rows, notes: [] }, ...sections],
    };
  });
}

/** The RPCs that are no step of a volume's plain life. */
async function otherRpcs(run: Run, world: CephWorld, times: RpcTimes, engine: Engine, rounds: number): Promise<void> {
  const { calls, server } = world;
  const { parameters, capability } = engine;
  const ask = { volume_capabilities: [capability], parameters };
  const volume = await calls.create(`other-${engine.name}`, { ...ask, capacity_range: bytes(64 * MIB) });
  const id = volume.volume_id;
  for (let round = 0; round < rounds; round++) {
    run.signal.throwIfAborted();
    run.progress(`lifecycle: ${engine.name}, the other RPCs, round ${round + 1} of ${rounds}`);
    await times.call("ControllerGetVolume", () => calls.get(id));
    await times.call("ListVolumes", () => calls.list());
    await times.call("GetCapacity", () => server.client.call("Controller", "GetCapacity", { parameters }));
    const snapshot = await times.call("CreateSnapshot", () => calls.snapshot(`s-${engine.name}-${round}`, id));
    const snapshotId = snapshot.snapshot_id ?? "";
    await times.call("ListSnapshots", () => calls.listSnapshots());
    const capacity = bytes((128 + round) * MIB);
    for (const [what, source] of [
      ["a snapshot", fromSnapshot(snapshotId)],
      ["a volume", fromVolume(id)],
    ] as const) {
      const copy = await times.call(`CreateVolume (from ${what})`, () =>
        calls.create(`copy-${engine.name}-${what}-${round}`, {
          ...{ ...ask, capacity_range: capacity, volume_content_source: source },
        }),
      );
      await calls.remove(copy.volume_id);
    }
    await times.call("DeleteSnapshot", () => calls.removeSnapshot(snapshotId));
    await times.call("ControllerExpandVolume", () => calls.expand(id, (65 + round) * MIB));
  }
  await calls.remove(id);
}
