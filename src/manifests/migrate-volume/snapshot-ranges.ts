import type { ByteRange } from "../../os/copy-extents.js";
import type { CsiClient } from "../../runtime/csi-client.js";

type Metadata = Pick<CsiClient, "stream">;

/** What a snapshot holds, or where `base` is given, what differs from that older one. In order. */
export async function rangesOf(csi: Metadata, snapshotId: string, base: string | undefined): Promise<ByteRange[]> {
  const answers =
    base === undefined
      ? await csi.stream("SnapshotMetadata", "GetMetadataAllocated", { snapshot_id: snapshotId })
      : await csi.stream("SnapshotMetadata", "GetMetadataDelta", {
          base_snapshot_id: base,
          target_snapshot_id: snapshotId,
        });
  return answers.flatMap(({ block_metadata }) =>
    (block_metadata ?? []).map(({ byte_offset, size_bytes }) => ({
      offsetBytes: Number(byte_offset),
      lengthBytes: Number(size_bytes),
    })),
  );
}

export const bytesIn = (ranges: readonly ByteRange[]): number =>
  ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);

/** All that any of the lists has, in order, without overlap. */
export function union(lists: readonly (readonly ByteRange[])[]): ByteRange[] {
  const merged: ByteRange[] = [];
  for (const range of lists.flat().sort((a, b) => a.offsetBytes - b.offsetBytes)) {
    const last = merged.at(-1);
    const end = range.offsetBytes + range.lengthBytes;
    if (last === undefined || last.offsetBytes + last.lengthBytes < range.offsetBytes) merged.push({ ...range });
    else last.lengthBytes = Math.max(last.lengthBytes, end - last.offsetBytes);
  }
  return merged;
}
