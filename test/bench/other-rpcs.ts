import { block, bytes, fromSnapshot, type Made, MIB, mount, writeAt } from "../root/csi-requests.js";
import { RpcTimes } from "./rpc-times.js";
import type { Run, World } from "./world.js";

/** Times each RPC that is no step of a volume's plain life, on a mounted volume and a raw one that are in use. */
export async function timeOtherRpcs(run: Run, world: World): Promise<RpcTimes> {
  const [rounds, warmUp] = run.quick ? [3, 1] : [60, 5];
  const { calls } = world;
  const inUse = async (name: string) => {
    const volume = await calls.create(name, { capacity_range: bytes(64 * MIB) });
    await calls.attach(volume);
    await calls.publish(volume);
    return volume;
  };
  const [mounted, second] = [await inUse("other-mounted"), await inUse("other-second")];
  const raw = await calls.create("other-raw", {
    capacity_range: bytes(64 * MIB),
    volume_capabilities: [block()],
  });
  await calls.attach(raw, block());
  await calls.publish(raw, {}, "a", block());
  const times = new RpcTimes();
  for (let round = -warmUp; round < rounds; round++) {
    run.signal.throwIfAborted();
    if (round === 0) times.forget();
    if (round % 10 === 0) run.progress(`lifecycle: the other RPCs, round ${Math.max(round, 0) + 1} of ${rounds}`);
    await questions(world, times, mounted);
    await copies(world, times, raw, round + warmUp);
    await groups(world, times, [mounted.volume_id, second.volume_id], round + warmUp);
    await changes(world, times, raw, round + warmUp);
  }
  for (const [volume, capability] of [
    [mounted, mount()],
    [second, mount()],
    [raw, block()],
  ] as const) {
    await calls.unpublish(volume.volume_id);
    await calls.unstage(volume.volume_id);
    await calls.controllerUnpublish(volume.volume_id);
    await times.call("ValidateVolumeCapabilities", () => validate(world, volume, capability));
    await calls.remove(volume.volume_id);
  }
  return times;
}

const validate = ({ server }: World, volume: Made, capability = mount()) =>
  server.client.call("Controller", "ValidateVolumeCapabilities", {
    volume_id: volume.volume_id,
    volume_capabilities: [capability],
    volume_context: volume.volume_context ?? {},
  });

async function questions(world: World, times: RpcTimes, volume: Made): Promise<void> {
  const { client } = world.server;
  for (const method of ["GetPluginInfo", "GetPluginCapabilities", "Probe"] as const)
    await times.call(method, () => client.call("Identity", method, {}));
  for (const method of ["ControllerGetCapabilities", "GetCapacity", "ListVolumes"] as const)
    await times.call(method, () => client.call("Controller", method, {}));
  await times.call("ControllerGetVolume", () => world.calls.get(volume.volume_id));
  await times.call("ValidateVolumeCapabilities", () => validate(world, volume));
  await times.call("GroupControllerGetCapabilities", () =>
    client.call("GroupController", "GroupControllerGetCapabilities", {}),
  );
  for (const method of ["NodeGetCapabilities", "NodeGetInfo"] as const)
    await times.call(method, () => client.call("Node", method, {}));
  await times.call("NodeGetVolumeStats", () => world.calls.stats(volume.volume_id));
}

async function copies(world: World, times: RpcTimes, raw: Made, round: number): Promise<void> {
  const { calls, server } = world;
  const cut = (name: string) => times.call("CreateSnapshot", () => calls.snapshot(name, raw.volume_id));
  const base = (await cut(`base-${round}`)).snapshot_id ?? "";
  writeAt(calls.target(raw.volume_id), (round % 32) * MIB, Buffer.alloc(MIB, round + 1));
  const target = (await cut(`target-${round}`)).snapshot_id ?? "";
  await times.call("GetSnapshot", () => server.client.call("Controller", "GetSnapshot", { snapshot_id: base }));
  await times.call("ListSnapshots", () => server.client.call("Controller", "ListSnapshots", {}));
  await times.call("GetMetadataAllocated", () =>
    server.client.stream("SnapshotMetadata", "GetMetadataAllocated", { snapshot_id: target }),
  );
  await times.call("GetMetadataDelta", () =>
    server.client.stream("SnapshotMetadata", "GetMetadataDelta", {
      base_snapshot_id: base,
      target_snapshot_id: target,
    }),
  );
  const restored = await times.call("CreateVolume (from a snapshot)", () =>
    calls.create(`restored-${round}`, {
      capacity_range: bytes(Number(raw.capacity_bytes) + (round + 1) * MIB),
      volume_capabilities: [block()],
      volume_content_source: fromSnapshot(target),
    }),
  );
  await calls.remove(restored.volume_id);
  for (const id of [base, target]) await times.call("DeleteSnapshot", () => calls.removeSnapshot(id));
}

/** A group of mounted volumes: a raw one in use cannot be held, and is refused as a member. */
async function groups(world: World, times: RpcTimes, ids: readonly string[], round: number): Promise<void> {
  const { calls, server } = world;
  const group = await times.call("CreateVolumeGroupSnapshot", () => calls.group(`group-${round}`, ids));
  const named = {
    group_snapshot_id: group.group_snapshot_id ?? "",
    snapshot_ids: (group.snapshots ?? []).map((snapshot) => snapshot.snapshot_id ?? ""),
  };
  for (const method of ["GetVolumeGroupSnapshot", "DeleteVolumeGroupSnapshot"] as const)
    await times.call(method, () => server.client.call("GroupController", method, named));
}

async function changes(world: World, times: RpcTimes, raw: Made, round: number): Promise<void> {
  const { calls, server } = world;
  const id = raw.volume_id;
  await times.call("ControllerModifyVolume", () =>
    server.client.call("Controller", "ControllerModifyVolume", {
      volume_id: id,
      mutable_parameters: { reclaimSpace: round % 2 === 0 ? "24h" : "48h" },
    }),
  );
  const size = Number(raw.capacity_bytes) + (round + 1) * MIB;
  await times.call("ControllerExpandVolume", () => calls.expand(id, size));
  await times.call("NodeExpandVolume", () =>
    server.client.call("Node", "NodeExpandVolume", {
      volume_id: id,
      volume_path: calls.target(id),
      staging_target_path: calls.staging(id),
      capacity_range: bytes(size),
      volume_capability: block(),
    }),
  );
}
