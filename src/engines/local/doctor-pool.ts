import * as fs from "node:fs/promises";
import { messageOf } from "../../errors/storage-error.js";
import type { Finding } from "../../model/finding.js";
import type { Loop } from "../../os/loop.js";
import type { MountEntry } from "../../os/mount.js";
import { assertPool, poolSpace } from "./pool.js";
import { readPoolRecord } from "./pool-device.js";

export interface PoolPlace {
  dataDir: string;
  poolDir: string;
  /** Of the pool that the registry knows; "" when it knows none. */
  poolUuid: string;
  lowSpaceRatio: number;
  mounts: readonly MountEntry[];
  loops: readonly Loop[];
}

/** Whether the pool is where its record says, mounted, writable and not nearly full. `usable`: its images can be looked at. */
export async function checkPoolPlace(place: PoolPlace): Promise<{ usable: boolean; findings: Finding[] }> {
  const { dataDir, poolDir, mounts } = place;
  const fail = (check: string, what: string, next: string) => ({
    usable: false,
    findings: [{ severity: "error" as const, check, where: poolDir, what, next }],
  });
  let record: Awaited<ReturnType<typeof readPoolRecord>>;
  try {
    record = await readPoolRecord(dataDir);
  } catch (error) {
    return fail("pool-record-damaged", `pool.json cannot be read: ${messageOf(error)}`, `restore ${dataDir}/pool.json`);
  }
  if (record?.state === "formatting")
    return fail("pool-unfinished", "granary pool init was interrupted", "run granary pool init again, as before");
  const real = await fs.realpath(poolDir).catch(() => undefined);
  if (real === undefined)
    return fail("pool-missing", "the pool's folder does not exist", "start granary up, which makes or mounts it");
  const mounted = mounts.filter((entry) => entry.mountPoint === real).at(-1);
  if (record) {
    const devices = place.loops.filter((loop) => loop.backingPath === record.path).map((loop) => loop.device);
    const expected = record.type === "device" ? [await fs.realpath(record.path).catch(() => record.path)] : devices;
    if (!mounted || !expected.includes(mounted.source)) {
      const what = mounted
        ? `${mounted.source} is mounted there, not the pool on ${record.path}`
        : `the pool on ${record.path} is not mounted there`;
      return fail("pool-not-mounted", what, "start granary up, which mounts it; see its error if it does not");
    }
  }
  if (place.poolUuid !== "") {
    try {
      await assertPool({ dir: poolDir, uuid: place.poolUuid });
    } catch (error) {
      return fail("pool-not-there", messageOf(error), "mount the pool there, or name the right --pool-dir");
    }
  }
  return { usable: true, findings: await checkRoom(place, real) };
}

async function checkRoom({ poolDir, lowSpaceRatio, mounts }: PoolPlace, real: string): Promise<Finding[]> {
  const found: Finding[] = [];
  const below = (entry: MountEntry) =>
    entry.mountPoint === "/" || real === entry.mountPoint || real.startsWith(`${entry.mountPoint}/`);
  const holder = mounts.filter(below).reduce<MountEntry | undefined>(
    // The longest mount point holds the folder; of several on the same one the last.
    (best, entry) => (best && best.mountPoint.length > entry.mountPoint.length ? best : entry),
    undefined,
  );
  if (holder && (holder.options.includes("ro") || holder.superOptions.includes("ro"))) {
    found.push({
      severity: "error",
      check: "pool-read-only",
      where: poolDir,
      what: `its file system, mounted at ${holder.mountPoint}, is read-only`,
      next: "look at the kernel's log: a file system that saw an error makes itself read-only",
    });
  }
  const { totalBytes, freeBytes } = await poolSpace({ dir: poolDir });
  if (Number(freeBytes) < Number(totalBytes) * lowSpaceRatio) {
    found.push({
      severity: "warning",
      check: "pool-low-space",
      where: poolDir,
      what: `${freeBytes} of ${totalBytes} bytes are free, less than ${lowSpaceRatio * 100} percent`,
      next: "delete snapshots or volumes, or make the pool larger, before writes fail",
    });
  }
  return found;
}
