import type { FileExtent } from "../../os/filefrag.js";
import type { Extent } from "../types.js";

/** Joins touching extents. Input ascending; output ascending, without overlap, cut at `sizeBytes`. */
export function allocatedExtents(extents: readonly FileExtent[], sizeBytes: bigint): Extent[] {
  const joined: Extent[] = [];
  for (const { offsetBytes, lengthBytes } of extents) push(joined, offsetBytes, offsetBytes + lengthBytes, sizeBytes);
  return joined;
}

/**
 * Where `target` may differ from `base`: a range is unchanged only if both map it to the same place on disk, or neither
 * maps it. Snapshots are never written, so a shared place means equal bytes.
 */
export function changedExtents(
  base: readonly FileExtent[],
  target: readonly FileExtent[],
  sizeBytes: bigint,
): Extent[] {
  const edges = new Set<bigint>();
  for (const extent of [...base, ...target]) {
    edges.add(extent.offsetBytes);
    edges.add(extent.offsetBytes + extent.lengthBytes);
  }
  const sorted = [...edges].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const changed: Extent[] = [];
  const [inBase, inTarget] = [cursor(base), cursor(target)];
  for (let i = 0; i + 1 < sorted.length; i++) {
    const [start, end] = [sorted[i] as bigint, sorted[i + 1] as bigint];
    if (inBase(start) !== inTarget(start)) push(changed, start, end, sizeBytes);
  }
  return changed;
}

// Answers the physical place of an offset; offsets must be asked in ascending order.
function cursor(extents: readonly FileExtent[]): (offset: bigint) => bigint | null {
  let at = 0;
  return (offset) => {
    for (;;) {
      const extent = extents[at];
      if (!extent || offset < extent.offsetBytes) return null;
      if (offset < extent.offsetBytes + extent.lengthBytes) return extent.physicalBytes + (offset - extent.offsetBytes);
      at++;
    }
  };
}

function push(into: Extent[], start: bigint, end: bigint, sizeBytes: bigint): void {
  const stop = end < sizeBytes ? end : sizeBytes;
  if (start >= stop) return;
  const last = into.at(-1);
  if (last && last.offsetBytes + last.lengthBytes === start) last.lengthBytes = stop - last.offsetBytes;
  else into.push({ offsetBytes: start, lengthBytes: stop - start });
}
