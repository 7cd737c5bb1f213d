import { open } from "node:fs/promises";
import type { Exec } from "./exec.js";

export interface Probe {
  /** The filesystem type, or the kind of partition table or member that was recognised. Empty: nothing recognised. */
  type: string;
  uuid: string;
}

/** blkid's exit code for both "nothing recognised" and "cannot read": never a proof of blankness by itself. */
const NOTHING_FOUND = 2;

/** What a device holds, by low-level probing: blkid's cache may describe what was there before. */
export async function probeDevice(exec: Exec, signal: AbortSignal, device: string): Promise<Probe> {
  const { stdout, exitCode } = await exec("blkid", ["-p", "-o", "export", device], {
    signal,
    okCodes: [0, NOTHING_FOUND],
  });
  if (exitCode === NOTHING_FOUND) return { type: "", uuid: "" };
  const values = new Map<string, string>();
  for (const line of stdout.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1));
  }
  const type = values.get("TYPE") ?? values.get("PTTYPE") ?? "unknown";
  return { type, uuid: values.get("UUID") ?? "" };
}

const HEAD_BYTES = 1024 * 1024;
const TAIL_BYTES = 64 * 1024;

/**
 * Whether the places where filesystems, partition tables and RAID members keep their marks are readable and all zero:
 * the first 1 MiB and the last 64 KiB. Throws what the read threw: unreadable is not blank.
 */
export async function edgesAreZero(path: string, sizeBytes: bigint): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const size = Number(sizeBytes);
    const head = Math.min(size, HEAD_BYTES);
    const tail = Math.min(size, TAIL_BYTES);
    return (await isZero(file, 0, head)) && (await isZero(file, size - tail, tail));
  } finally {
    await file.close();
  }
}

async function isZero(file: Awaited<ReturnType<typeof open>>, position: number, length: number): Promise<boolean> {
  const buffer = Buffer.alloc(length, 0xff);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) throw new Error(`only ${done} of ${length} bytes at ${position} could be read`);
    done += bytesRead;
  }
  return buffer.equals(Buffer.alloc(length));
}
