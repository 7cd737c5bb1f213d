/**
 * Files by callbacks: on this path a promise of fs/promises and its FileHandle cost more than the call. What is closed is
 * closed with closeSync: it waits for no disk, as a file's bytes are synced before and it is unlinked after, and a trip to
 * another thread costs 25 us.
 */
import { constants, fdatasync, fsync, open, openSync, readv, readvSync, unlink, write } from "node:fs";
import { messageOf, refused, StorageError } from "../../../../errors/storage-error.js";

/** Of errors of the system alone: others have codes of their own, like those of a gateway. */
function codeOf(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException;
  return typeof errno === "number" ? (code ?? "") : "";
}

export const isMissing = (error: unknown): boolean => codeOf(error) === "ENOENT";
/** Of a write past the page cache: this file system has none, or asks for more than memory and place that are page-aligned. */
export const isRefusedAsDirect = (error: unknown): boolean => codeOf(error) === "EINVAL";
export const isTaken = (error: unknown): boolean => codeOf(error) === "EEXIST";

/** What a failure of the disk means to the caller. `doing` goes on from "while": `writing body 12`. */
export function diskFailure(error: unknown, doing: string): Error {
  if (error instanceof StorageError) return error;
  switch (codeOf(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return refused("storage-full", `no space is left on the disk while ${doing}; delete objects, or grow the disk`, {
        cause: error,
      });
    case "EROFS":
      return refused("read-only", `the disk is read-only while ${doing}; see the kernel's log for why`, {
        cause: error,
      });
    case "EMFILE":
    case "ENFILE":
      return refused("busy", `too many files are open while ${doing}; raise the limit of open files`, { cause: error });
    case "EIO":
    case "EUCLEAN":
    case "EBADMSG":
    case "ENXIO":
    case "ENODEV":
      return refused("damaged", `the disk failed while ${doing}: ${messageOf(error)}`, { cause: error });
    default:
      // A code alone is no sign of the disk: what the gateway refuses has one too.
      return error instanceof Error && (error as NodeJS.ErrnoException).errno === undefined
        ? error
        : new StorageError("internal", `failed while ${doing}: ${messageOf(error)}`, { cause: error });
  }
}

/** To write past the page cache. */
export const DIRECT = constants.O_WRONLY | constants.O_DIRECT;

export const openFile = (path: string, flags: string | number): Promise<number> =>
  new Promise((resolve, reject) => open(path, flags, 0o600, (error, fd) => (error ? reject(error) : resolve(fd))));

export const openToRead = (path: string): number => openSync(path, "r");

export const syncData = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve())));

export const syncFolder = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => fsync(fd, (error) => (error ? reject(error) : resolve())));

/** Gone already is fine. */
export const removeFile = (path: string): Promise<void> =>
  new Promise((resolve, reject) =>
    unlink(path, (error) => (error && error.code !== "ENOENT" ? reject(error) : resolve())),
  );

function behind(pieces: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes;
  const rest: Buffer[] = [];
  for (const piece of pieces) {
    if (skip < piece.length) rest.push(piece.subarray(skip));
    skip = Math.max(0, skip - piece.length);
  }
  return rest;
}

/** Fills the pieces from the file; settles with less than all at its end. */
export const readPieces = (fd: number, pieces: readonly Buffer[], position: number): Promise<number> =>
  new Promise((resolve, reject) => {
    let wanted = 0;
    for (const piece of pieces) wanted += piece.length;
    let moved = 0;
    const again = (rest: readonly Buffer[]) =>
      readv(fd, rest, position + moved, (error, bytes) => {
        if (error) return reject(error);
        moved += bytes;
        if (bytes === 0 || moved === wanted) resolve(moved);
        else again(behind(rest, bytes));
      });
    if (wanted === 0) resolve(0);
    else again(pieces);
  });

/** The same, and at once. */
export function readPiecesNow(fd: number, pieces: readonly Buffer[], position: number): number {
  let moved = 0;
  for (let rest = pieces; rest.length > 0; ) {
    const bytes = readvSync(fd, rest, position + moved);
    if (bytes === 0) break;
    moved += bytes;
    rest = behind(rest, bytes);
  }
  return moved;
}

/** All of the bytes, from `position` on. */
export const writeAll = (fd: number, bytes: Buffer, position: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const again = (from: number) => {
      write(fd, bytes, from, bytes.length - from, position + from, (error, written) => {
        if (error) reject(error);
        else if (from + written === bytes.length) resolve();
        else if (written === 0) reject(new Error("the disk took no more bytes"));
        else again(from + written);
      });
    };
    if (bytes.length === 0) resolve();
    else again(0);
  });
