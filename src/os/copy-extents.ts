import { type FileHandle, open } from "node:fs/promises";
import { StorageError } from "../errors/storage-error.js";
import type { Exec } from "./exec.js";

/** A piece of a device or file. Bytes as numbers: a device of 8 PiB is still exact. */
export interface ByteRange {
  offsetBytes: number;
  lengthBytes: number;
}

export interface Transfer {
  from: string;
  to: string;
  ranges: readonly ByteRange[];
  signal: AbortSignal;
  /** Told of each piece that is done. */
  onBytes(bytes: number): void;
}

const PIECE_BYTES = 4 * 1024 ** 2;
const ZEROS = Buffer.alloc(PIECE_BYTES);

/** Copies ranges from one device or file to the same places of another; on disk when it returns. `fresh`: `to` reads as zeros, and zeros need not be written. */
export async function copyRanges(transfer: Transfer, fresh: boolean): Promise<void> {
  const [from, to] = await openBoth(transfer, "r+");
  try {
    const buffer = Buffer.allocUnsafe(PIECE_BYTES);
    for (const piece of pieces(transfer)) {
      const bytes = await readWhole(from, buffer, piece, transfer.from);
      if (!fresh || !bytes.equals(ZEROS.subarray(0, bytes.length))) await writeWhole(to, bytes, piece.offsetBytes);
      transfer.onBytes(bytes.length);
    }
    await to.sync();
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
}

/**
 * Reads ranges of both and compares them byte by byte. `flush` first, so that what is compared was read from the device.
 *
 * @throws StorageError internal naming the first place that differs
 */
export async function compareRanges(transfer: Transfer): Promise<void> {
  const [from, to] = await openBoth(transfer, "r");
  try {
    const [left, right] = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.allocUnsafe(PIECE_BYTES)];
    for (const piece of pieces(transfer)) {
      const [a, b] = await Promise.all([
        readWhole(from, left, piece, transfer.from),
        readWhole(to, right, piece, transfer.to),
      ]);
      if (!a.equals(b))
        throw new StorageError(
          "internal",
          `${transfer.to} differs from ${transfer.from} between bytes ${piece.offsetBytes} and ${piece.offsetBytes + piece.lengthBytes}, which were just copied`,
        );
      transfer.onBytes(a.length);
    }
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
}

/** Has the kernel forget what it cached of a block device. */
export async function flush(exec: Exec, signal: AbortSignal, device: string): Promise<void> {
  await exec("blockdev", ["--flushbufs", device], { signal });
}

async function openBoth({ from, to }: Transfer, mode: "r" | "r+"): Promise<[FileHandle, FileHandle]> {
  const source = await open(from, "r");
  try {
    return [source, await open(to, mode)];
  } catch (error) {
    await source.close();
    throw error;
  }
}

function* pieces({ ranges, signal }: Transfer): Generator<ByteRange> {
  for (const { offsetBytes, lengthBytes } of ranges) {
    for (let done = 0; done < lengthBytes; done += PIECE_BYTES) {
      signal.throwIfAborted();
      yield { offsetBytes: offsetBytes + done, lengthBytes: Math.min(PIECE_BYTES, lengthBytes - done) };
    }
  }
}

async function readWhole(file: FileHandle, buffer: Buffer, piece: ByteRange, path: string): Promise<Buffer> {
  for (let done = 0; done < piece.lengthBytes; ) {
    const { bytesRead } = await file.read(buffer, done, piece.lengthBytes - done, piece.offsetBytes + done);
    if (bytesRead === 0) throw new StorageError("internal", `${path} ends before byte ${piece.offsetBytes + done}`);
    done += bytesRead;
  }
  return buffer.subarray(0, piece.lengthBytes);
}

async function writeWhole(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}
