import { open } from "node:fs/promises";
import type { FsType } from "../model/volume.js";
import type { Exec } from "./exec.js";

/** Grows a mounted filesystem to its device's size. Nothing to do is no error, for all three tools. */
export async function growFilesystem(
  exec: Exec,
  signal: AbortSignal,
  what: { device: string; mountPoint: string; fsType: FsType },
): Promise<void> {
  switch (what.fsType) {
    case "ext4":
      await exec("resize2fs", [what.device], { signal });
      return;
    case "xfs":
      await exec("xfs_growfs", ["-d", what.mountPoint], { signal });
      return;
    case "btrfs":
      await exec("btrfs", ["filesystem", "resize", "max", what.mountPoint], { signal });
      return;
  }
}

/** Grows an unmounted ext4 that was fully checked just now. The others can only be grown while mounted. */
export async function growExt4Offline(exec: Exec, signal: AbortSignal, device: string): Promise<void> {
  await exec("resize2fs", [device], { signal });
}

const SUPERBLOCKS_BYTES = 65_536 + 4096;

/**
 * The size that a filesystem's superblock states, in bytes. Read here and not asked of the tools: it is one read at
 * each stage, where most volumes need no growing. Offsets: ext4 superblock s_blocks_count_lo/_hi and s_log_block_size,
 * xfs sb_blocksize and sb_dblocks, btrfs super_block.total_bytes.
 */
export async function filesystemBytes(device: string, fsType: FsType): Promise<bigint> {
  const file = await open(device, "r");
  try {
    const block = Buffer.alloc(SUPERBLOCKS_BYTES);
    await file.read(block, 0, SUPERBLOCKS_BYTES, 0);
    switch (fsType) {
      case "ext4": {
        const blocks = (BigInt(block.readUInt32LE(1024 + 0x150)) << 32n) | BigInt(block.readUInt32LE(1024 + 4));
        return blocks << BigInt(10 + block.readUInt32LE(1024 + 24));
      }
      case "xfs":
        return block.readBigUInt64BE(8) * BigInt(block.readUInt32BE(4));
      case "btrfs":
        return block.readBigUInt64LE(65_536 + 0x70);
    }
  } finally {
    await file.close();
  }
}
