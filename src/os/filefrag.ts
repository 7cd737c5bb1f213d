import type { Exec } from "./exec.js";

export interface FileExtent {
  offsetBytes: bigint;
  lengthBytes: bigint;
  /** Where the bytes lie on the file system's device: equal places mean shared bytes. */
  physicalBytes: bigint;
}

const ROW = /^\s*\d+:\s+(\d+)\.\.\s*(\d+):\s+(\d+)\.\.\s*\d+:\s+(\d+):(.*)$/;

/**
 * The extents that hold written data, ascending, from the file system's own map (FIEMAP by `filefrag`). Reserved but
 * unwritten extents read as zeros and are left out. `-s` syncs first: delayed allocation has no place yet.
 */
export async function fileExtents(exec: Exec, path: string, signal?: AbortSignal): Promise<FileExtent[]> {
  const { stdout } = await exec("filefrag", ["-s", "-v", "-b1", path], signal ? { signal } : {});
  const extents: FileExtent[] = [];
  for (const line of stdout.split("\n")) {
    const match = ROW.exec(line);
    if (!match || /\bunwritten\b/.test(match[5] ?? "")) continue;
    extents.push({
      offsetBytes: BigInt(match[1] ?? 0),
      lengthBytes: BigInt(match[4] ?? 0),
      physicalBytes: BigInt(match[3] ?? 0),
    });
  }
  return extents;
}
