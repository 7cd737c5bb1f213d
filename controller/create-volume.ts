import type { CreateVolumeRequest__Output } from "../proto/gen/csi/v1/CreateVolumeRequest.js";
import type { CreateVolumeResponse } from "../proto/gen/csi/v1/CreateVolumeResponse.js";
import type { TopologyRequirement__Output } from "../proto/gen/csi/v1/TopologyRequirement.js";
import type { Context, VolumeEngine } from "../src/engines/types.js";
import { invalid, StorageError } from "../src/errors/storage-error.js";
import type { ContentSource, FsType, Volume, VolumeKind, VolumeSpec } from "../src/model/volume.js";
import { type ControllerDeps, findSnapshot, findVolume, TOPOLOGY_KEY } from "./deps.js";
import { volumeMessage } from "./messages.js";
import { parseKind, parseParameters } from "./parameters.js";
import {
  chooseSize,
  defaultKind,
  parseCapabilities,
  parseRange,
  type Range,
  requireName,
  unsupported,
} from "./validation.js";

/** CSI CreateVolume: idempotent by name; everything is checked before anything is made. */
export async function createVolume(
  deps: ControllerDeps,
  ctx: Context,
  request: CreateVolumeRequest__Output,
): Promise<CreateVolumeResponse> {
  const name = requireName("name", request.name);
  const range = parseRange(request.capacity_range);
  const { engine, wanted } = parseSpec(deps, request, name);
  const source = wanted.source;
  const keys =
    source?.type === "volume"
      ? [`name:${name}`, source.volumeId]
      : source
        ? [`name:${name}`, source.snapshotId]
        : [`name:${name}`];
  return deps.locks.run(keys, `CreateVolume ${name}`, async () => {
    const nodeIds = await engine.nodeIds(ctx);
    const reachable = isReachable(nodeIds, request.accessibility_requirements);
    const existing = await deps.engines.find(ctx, engine, (one) => one.findByName(ctx, name));
    if (existing) {
      checkCompatible(existing, wanted, range);
      if (!reachable) throw conflict(existing, "topology");
      return { volume: await volumeMessage(ctx, engine, existing) };
    }
    if (!reachable) {
      throw new StorageError(
        "resource-exhausted",
        `accessibility_requirements: no required ${TOPOLOGY_KEY} is served here; this pool is on ${nodeIds?.join(", ")}`,
      );
    }
    const origin = await sourceOf(deps, ctx, engine, source);
    const fsType = wanted.fsType || origin?.fsType || "";
    const { maximumVolumeBytes } = await engine.capacity(ctx, wanted.parameters);
    const capacityBytes = chooseSize(range, fsType, origin?.sizeBytes ?? 0n, engine.largestVolumeBytes);
    if (capacityBytes > maximumVolumeBytes) {
      throw new StorageError(
        "resource-exhausted",
        `no room for ${capacityBytes} bytes: the pool can take ${maximumVolumeBytes} more`,
      );
    }
    const volume = await engine.create(ctx, { ...wanted, fsType, capacityBytes });
    return { volume: await volumeMessage(ctx, engine, volume) };
  });
}

function parseSpec(
  deps: ControllerDeps,
  request: CreateVolumeRequest__Output,
  name: string,
): { engine: VolumeEngine; wanted: VolumeSpec } {
  const capabilities = parseCapabilities(request.volume_capabilities);
  const kind: VolumeKind = parseKind(request.parameters) ?? defaultKind(capabilities);
  const engine = deps.engines.forClass(request.parameters, kind);
  const parsed = parseParameters(request.parameters, request.mutable_parameters, engine);
  engine.checkParameters(request.parameters, kind);
  engine.checkMutable(request.mutable_parameters, kind);
  for (const capability of capabilities) {
    const reason = unsupported(capability, kind);
    if (reason !== null) throw invalid(`volume_capabilities: ${reason}`);
  }
  const wanted: VolumeSpec = {
    name,
    kind,
    capacityBytes: 0n,
    // A copy has its source's file system unless another was asked for, which is then refused where it is staged.
    fsType: chooseFsType(
      capabilities.flatMap((c) => (c.access.type === "mount" ? [c.access.fsType] : [])),
      parsed.fsType ?? (request.volume_content_source ? "" : "ext4"),
    ),
    mkfsOptions: parsed.mkfsOptions,
    provisioning: parsed.provisioning,
    reclaimSpaceMs: parsed.reclaimSpaceMs,
    parameters: request.parameters,
    mutableParameters: request.mutable_parameters,
    source: parseSource(request),
  };
  return { engine, wanted };
}

// Two capabilities that name different file systems cannot both be served.
function chooseFsType(fromCapabilities: readonly string[], otherwise: FsType | ""): FsType | "" {
  if (fromCapabilities.length === 0) return "";
  const named = [...new Set(fromCapabilities.filter((fsType) => fsType !== ""))];
  if (named.length > 1) throw invalid(`volume_capabilities name several file systems: ${named.join(", ")}`);
  return (named[0] as FsType | undefined) ?? otherwise;
}

function parseSource(request: CreateVolumeRequest__Output): ContentSource | null {
  const source = request.volume_content_source;
  if (!source) return null;
  if (source.snapshot) {
    if (source.snapshot.snapshot_id === "") throw invalid("volume_content_source.snapshot.snapshot_id is required");
    return { type: "snapshot", snapshotId: source.snapshot.snapshot_id };
  }
  if (source.volume) {
    if (source.volume.volume_id === "") throw invalid("volume_content_source.volume.volume_id is required");
    return { type: "volume", volumeId: source.volume.volume_id };
  }
  throw invalid("volume_content_source names neither a snapshot nor a volume");
}

async function sourceOf(
  deps: ControllerDeps,
  ctx: Context,
  target: VolumeEngine,
  source: ContentSource | null,
): Promise<{ sizeBytes: bigint; fsType: FsType | "" } | null> {
  if (!source) return null;
  const field = "volume_content_source";
  if (source.type === "snapshot") {
    const { engine, snapshot } = await findSnapshot(deps, ctx, source.snapshotId, field);
    checkSameEngine(engine, target);
    return snapshot;
  }
  const { engine, volume } = await findVolume(deps, ctx, source.volumeId, field);
  checkSameEngine(engine, target);
  return { sizeBytes: volume.capacityBytes, fsType: volume.fsType };
}

function checkSameEngine(source: VolumeEngine, target: VolumeEngine): void {
  if (source !== target)
    throw invalid(
      `volume_content_source is in ${source.title}, and the class asks for ${target.title}: a copy stays where its source is; granary migrate moves a volume`,
    );
}

/** Whether one of the required topologies, if any are, is ours. Keys compare without case. */
function isReachable(nodeIds: readonly string[] | null, requirement: TopologyRequirement__Output | null): boolean {
  const requisite = requirement?.requisite ?? [];
  if (requisite.length === 0 || nodeIds === null) return true;
  return requisite.some((topology) =>
    Object.entries(topology.segments).every(
      ([key, value]) => key.toLowerCase() !== TOPOLOGY_KEY || nodeIds.includes(value),
    ),
  );
}

function conflict(existing: Volume, what: string): StorageError {
  return new StorageError("already-exists", `volume ${existing.name} exists with another ${what}`);
}

function checkCompatible(existing: Volume, wanted: VolumeSpec, range: Range): void {
  const { requiredBytes, limitBytes } = range;
  if (existing.capacityBytes < requiredBytes || (limitBytes > 0n && existing.capacityBytes > limitBytes)) {
    throw conflict(existing, `size, ${existing.capacityBytes} bytes`);
  }
  if (existing.kind !== wanted.kind) throw conflict(existing, "kind");
  if (existing.fsType !== wanted.fsType && (!wanted.source || wanted.fsType !== ""))
    throw conflict(existing, "file system");
  if (JSON.stringify(existing.source) !== JSON.stringify(wanted.source)) throw conflict(existing, "content source");
  if (!sameMap(existing.parameters, wanted.parameters)) throw conflict(existing, "set of parameters");
}

function sameMap(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
