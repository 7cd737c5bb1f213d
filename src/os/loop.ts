import { readdirSync, readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { type Exec, ExecError } from "./exec.js";

export interface Loop {
  device: string;
  backingPath: string;
  /** `<st_dev>:<st_ino>` of the backing file, as `fileIdentity` writes it. */
  identity: string;
  readonly: boolean;
  directIo: boolean;
}

interface LosetupRow {
  name: string;
  "back-file": string | null;
  "back-ino": number | string | null;
  "back-maj:min": string | null;
  ro: boolean | string;
  dio: boolean | string;
}

const COLUMNS = "NAME,BACK-FILE,BACK-INO,BACK-MAJ:MIN,RO,DIO,AUTOCLEAR";

/** Linux's encoding of a device number, glibc's makedev: `254:0` is what stat(2) gives as 65024. */
function makedev(majorMinor: string): bigint {
  const [major, minor] = majorMinor
    .trim()
    .split(":")
    .map((part) => BigInt(part.trim() || "0"));
  const [a, b] = [major ?? 0n, minor ?? 0n];
  return (b & 0xffn) | ((a & 0xfffn) << 8n) | ((b & ~0xffn) << 12n) | ((a & ~0xfffn) << 32n);
}

// util-linux before 2.33 writes booleans as the texts "0" and "1".
const isTrue = (value: boolean | string) => value === true || value === "1";

/** What names a file for as long as it exists, whatever path leads to it. */
export async function fileIdentity(path: string): Promise<string> {
  const found = await stat(path, { bigint: true });
  return `${found.dev}:${found.ino}`;
}

type Seen = Map<string, { sequence: string; loop: Loop }>;

/**
 * The loop devices that losetup has told of, by name, for as long as its runner lives. The kernel numbers each attachment
 * anew (diskseq, Linux 5.15): while a device's number is the same, so is the file that it was attached to, and no process
 * need ask again. A process costs more than all the rest of some calls.
 */
const seenBy = new WeakMap<Exec, Seen>();

/** Every loop device of the host that has a backing file, in the order of their numbers. */
export async function listLoops(exec: Exec, signal: AbortSignal): Promise<Loop[]> {
  const seen: Seen = seenBy.get(exec) ?? new Map();
  seenBy.set(exec, seen);
  const before = attachments();
  if (!before.every(({ device, sequence }) => seen.get(device)?.sequence === sequence)) {
    const told = await loopsByLosetup(exec, signal);
    const after = new Map(attachments().map(({ device, sequence }) => [device, sequence]));
    seen.clear();
    for (const { device, sequence } of before) {
      const loop = told.find((one) => one.device === device);
      if (loop && sequence !== "" && after.get(device) === sequence) seen.set(device, { sequence, loop });
    }
    return told;
  }
  return before.flatMap(({ device, backingPath }) => {
    const known = seen.get(device);
    // The file's path is the one thing that changes under a device: it may be renamed, or deleted.
    return known ? [{ ...known.loop, backingPath }] : [];
  });
}

/** A loop device by what sysfs tells: no process, and no question to the file's own file system, which may hang. */
export interface LoopOnPath {
  device: string;
  backingPath: string;
  readonly: boolean;
}

/** The loop devices whose file had this very path when it was attached; "(deleted)" ones are none. */
export function loopsOnPath(path: string): LoopOnPath[] {
  return attachments()
    .filter(({ backingPath }) => backingPath === path)
    .map(({ device, backingPath }) => {
      const readonly = readSysfs(`/sys/block/${basename(device)}/ro`) === "1";
      return { device, backingPath, readonly };
    });
}

interface Attachment {
  device: string;
  backingPath: string;
  /** Empty where the kernel has none: never equal to one that was seen. */
  sequence: string;
}

// Synchronous: a hundred reads of sysfs take less than as many turns of the thread pool.
function attachments(): Attachment[] {
  const found: Attachment[] = [];
  const names = readdirSync("/sys/block").filter((name) => name.startsWith("loop"));
  for (const name of names.sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)))) {
    const backing = readSysfs(`/sys/block/${name}/loop/backing_file`);
    if (backing === undefined) continue;
    found.push({
      device: `/dev/${name}`,
      backingPath: backing,
      sequence: readSysfs(`/sys/block/${name}/diskseq`) ?? "",
    });
  }
  return found;
}

/** Undefined when there is no such file: the device is not attached, or the kernel is older than the attribute. */
function readSysfs(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").replace(/\n$/, "");
  } catch {
    return undefined;
  }
}

async function loopsByLosetup(exec: Exec, signal: AbortSignal): Promise<Loop[]> {
  const { stdout } = await exec("losetup", ["--json", "-l", "-O", COLUMNS], { signal });
  if (stdout.trim() === "") return [];
  const rows = (JSON.parse(stdout) as { loopdevices: LosetupRow[] }).loopdevices;
  return rows
    .filter((row) => row["back-ino"] !== null && row["back-maj:min"] !== null)
    .map((row) => ({
      device: row.name,
      backingPath: row["back-file"] ?? "",
      identity: `${makedev(row["back-maj:min"] ?? "")}:${row["back-ino"]}`,
      readonly: isTrue(row.ro),
      directIo: isTrue(row.dio),
    }));
}

/**
 * A loop device's sector, in bytes, for every image. Left to itself the kernel takes the backing file's alignment for
 * direct I/O, which newer kernels report larger for a file that shares extents: a filesystem that was made on 512-byte
 * sectors would not mount on its own clone.
 */
export const LOOP_SECTOR_BYTES = 4096n;

/**
 * Attaches a file to a free loop device, with direct I/O where its filesystem takes it: buffered, every block would be
 * held in memory twice, once for the device and once for the image.
 */
export async function attachLoop(
  exec: Exec,
  signal: AbortSignal,
  file: string,
  readonly: boolean,
  sectorBytes = LOOP_SECTOR_BYTES,
): Promise<void> {
  const flags = ["--sector-size", String(sectorBytes), ...(readonly ? ["--read-only"] : [])];
  const identity = await fileIdentity(file);
  try {
    const { stdout } = await exec("losetup", ["--find", "--show", "--direct-io=on", ...flags, file], { signal });
    // The same file before and after: so losetup, in between, opened no other.
    if ((await fileIdentity(file)) === identity) remember(exec, stdout.trim(), identity, readonly);
  } catch (error) {
    if (!(error instanceof ExecError) || error.reason !== "exit") throw error;
    // losetup may have attached the file and failed only at the direct I/O that came after.
    const loops = await listLoops(exec, signal);
    if (loops.some((loop) => loop.identity === identity && loop.readonly === readonly)) return;
    await exec("losetup", ["--find", ...flags, file], { signal });
  }
}

/** What was attached just now need not be asked for: see `seenBy`. */
function remember(exec: Exec, device: string, identity: string, readonly: boolean): void {
  const attached = attachments().find((one) => one.device === device);
  if (!attached || attached.sequence === "") return;
  const directIo = readSysfs(`/sys/class/block/${basename(device)}/loop/dio`) === "1";
  const loop = { device, backingPath: attached.backingPath, identity, readonly, directIo };
  seenBy.get(exec)?.set(device, { sequence: attached.sequence, loop });
}

export async function detachLoop(exec: Exec, signal: AbortSignal, device: string): Promise<void> {
  await exec("losetup", ["--detach", device], { signal });
}

/** Makes the device as large as its backing file has become. */
export async function refreshLoopSize(exec: Exec, signal: AbortSignal, device: string): Promise<void> {
  await exec("losetup", ["--set-capacity", device], { signal });
}

/** A loop device's size, in bytes, from sysfs: no process, where every stage asks. sysfs counts in 512, whatever the sector. */
export async function loopBytes(device: string): Promise<bigint> {
  return BigInt((await readFile(`/sys/class/block/${basename(device)}/size`, "utf8")).trim()) * 512n;
}

export async function deviceBytes(exec: Exec, signal: AbortSignal, device: string): Promise<bigint> {
  const { stdout } = await exec("blockdev", ["--getsize64", device], { signal });
  return BigInt(stdout.trim());
}
