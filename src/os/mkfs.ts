import type { FsType } from "../model/volume.js";
import type { Exec } from "./exec.js";

/**
 * No discard: a new image is a hole already. Lazy tables: mkfs would else write megabytes for every gigabyte. The
 * force flags only silence a question that nobody is there to answer: the caller has proven the device to be blank.
 */
const ARGUMENTS = {
  ext4: (uuid) => ["-F", "-q", "-U", uuid, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"],
  xfs: (uuid) => ["-K", "-q", "-f", "-m", `uuid=${uuid}`],
  btrfs: (uuid) => ["-K", "-q", "-f", "-U", uuid],
} satisfies Record<FsType, (uuid: string) => string[]>;

/** Makes a filesystem with this UUID. Destroys what the device holds. */
export async function makeFilesystem(
  exec: Exec,
  signal: AbortSignal,
  what: { device: string; fsType: FsType; uuid: string; options: readonly string[] },
): Promise<void> {
  await exec(`mkfs.${what.fsType}`, [...ARGUMENTS[what.fsType](what.uuid), ...what.options, what.device], { signal });
}
