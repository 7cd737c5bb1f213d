import type { GetMetadataAllocatedRequest__Output } from "../proto/gen/csi/v1/GetMetadataAllocatedRequest.js";
import type { GetMetadataAllocatedResponse } from "../proto/gen/csi/v1/GetMetadataAllocatedResponse.js";
import type { GetMetadataDeltaRequest__Output } from "../proto/gen/csi/v1/GetMetadataDeltaRequest.js";
import type { Context, Extent } from "../src/engines/types.js";
import { invalid, StorageError } from "../src/errors/storage-error.js";
import type { Snapshot } from "../src/model/volume.js";
import { type ControllerDeps, findSnapshot } from "./deps.js";
import { requireId } from "./validation.js";

const DEFAULT_PAGE = 256;

/** CSI GetMetadataAllocated: the extents that hold data, from the file system's own map. */
export async function* getMetadataAllocated(
  deps: ControllerDeps,
  ctx: Context,
  request: GetMetadataAllocatedRequest__Output,
): AsyncGenerator<GetMetadataAllocatedResponse> {
  const { engine, snapshot } = await find(deps, ctx, "snapshot_id", request.snapshot_id);
  const from = checkPage(request.starting_offset, request.max_results, snapshot);
  yield* pages(await engine.allocated(ctx, snapshot.id), from, request.max_results, snapshot.sizeBytes);
}

/** CSI GetMetadataDelta: what may differ between two snapshots of one volume. */
export async function* getMetadataDelta(
  deps: ControllerDeps,
  ctx: Context,
  request: GetMetadataDeltaRequest__Output,
): AsyncGenerator<GetMetadataAllocatedResponse> {
  const { engine, snapshot: base } = await find(deps, ctx, "base_snapshot_id", request.base_snapshot_id);
  const { snapshot: target } = await find(deps, ctx, "target_snapshot_id", request.target_snapshot_id);
  if (base.sourceVolumeId !== target.sourceVolumeId)
    throw invalid("base_snapshot_id and target_snapshot_id are of different volumes");
  if (base.createdMs > target.createdMs) throw invalid("base_snapshot_id is newer than target_snapshot_id");
  const from = checkPage(request.starting_offset, request.max_results, target);
  yield* pages(await engine.changed(ctx, base.id, target.id), from, request.max_results, target.sizeBytes);
}

const find = (deps: ControllerDeps, ctx: Context, field: string, id: string) =>
  findSnapshot(deps, ctx, requireId(field, id), field);

function checkPage(startingOffset: string, maxResults: number, snapshot: Snapshot): bigint {
  const offset = BigInt(startingOffset);
  if (maxResults < 0) throw invalid(`max_results is negative: ${maxResults}`);
  if (offset < 0n || offset > snapshot.sizeBytes) {
    throw new StorageError(
      "out-of-range",
      `starting_offset ${offset} is outside the snapshot's ${snapshot.sizeBytes} bytes`,
    );
  }
  return offset;
}

function* pages(
  extents: readonly Extent[],
  from: bigint,
  maxResults: number,
  sizeBytes: bigint,
): Generator<GetMetadataAllocatedResponse> {
  // An extent that reaches past the offset is cut, so that a resumed stream neither repeats nor skips a byte.
  const rest = extents.flatMap(({ offsetBytes, lengthBytes }) => {
    const end = offsetBytes + lengthBytes;
    if (end <= from) return [];
    const start = offsetBytes > from ? offsetBytes : from;
    return [{ byte_offset: String(start), size_bytes: String(end - start) }];
  });
  const size = maxResults > 0 ? maxResults : DEFAULT_PAGE;
  for (let at = 0; at === 0 || at < rest.length; at += size) {
    yield {
      block_metadata_type: "VARIABLE_LENGTH",
      volume_capacity_bytes: String(sizeBytes),
      block_metadata: rest.slice(at, at + size),
    };
  }
}
